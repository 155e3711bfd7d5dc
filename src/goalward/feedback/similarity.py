"""How alike two texts are, from 0 to 1, by the libraries that everybody uses."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal, get_args

from goalward.feedback.extras import extra
from goalward.feedback.grader import Grader
from goalward.feedback.graders import EachRollout
from goalward.feedback.template import Template, parse_template
from goalward.feedback.workers import InWorkers
from goalward.schema import Place
from goalward.types import Rollout, Task

Metric = Literal[
    "fuzzy_match",
    "bleu",
    "gleu",
    "meteor",
    "rouge_1",
    "rouge_2",
    "rouge_3",
    "rouge_4",
    "rouge_5",
    "rouge_l",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSimilarity:
    """How alike `input` and `reference` are by `evaluation_metric`, from 0 to 1; see `similarity`."""

    input: str
    reference: str
    evaluation_metric: Metric
    name: str = ""

    def grader(self, place: Place) -> Grader:
        """Raises UsageError for a template that cannot be read or a library that is missing. Runs in the workers."""
        given = parse_template(self.input, place.at("input"))
        wanted = parse_template(self.reference, place.at("reference"))
        metric(self.evaluation_metric)
        alike = partial(_alike, self.evaluation_metric, given, wanted)
        return InWorkers(EachRollout(alike), ready=partial(metric, self.evaluation_metric))


def similarity(name: Metric, text: str, reference: str) -> float:
    """0 to 1; where either text is empty, 1 if both are.

    fuzzy_match: rapidfuzz's ratio (the share of characters that two texts have in common, in order);
    bleu: sacrebleu's sentence BLEU with effective order; gleu: NLTK's Google-BLEU of words;
    meteor: NLTK's, by equal words and equal stems alone, as synonyms would need WordNet's data; a little
    below 1 for equal texts, as METEOR is;
    rouge_1 to rouge_5, rouge_l: rouge-score's F-measure, without stemming; it knows letters a-z and digits only.
    """
    if not text.strip() or not reference.strip():
        return float(text.strip() == reference.strip())
    return metric(name)(text, reference)


@lru_cache(maxsize=len(get_args(Metric)))
def metric(name: Metric) -> Callable[[str, str], float]:
    """The function (text, reference) -> 0 to 1. Raises UsageError where its library is missing."""
    if name == "fuzzy_match":
        ratio = extra("rapidfuzz.fuzz", name).ratio
        return lambda text, reference: float(ratio(text, reference)) / 100
    if name == "bleu":
        bleu = extra("sacrebleu.metrics", name).BLEU(effective_order=True)
        return lambda text, reference: min(1.0, float(bleu.sentence_score(text, [reference]).score) / 100)
    if name == "gleu":
        gleu = extra("nltk.translate.gleu_score", name).sentence_gleu
        return lambda text, reference: float(gleu([reference.split()], text.split()))
    if name == "meteor":
        meteor = extra("nltk.translate.meteor_score", name).single_meteor_score
        no_synonyms = _NoSynonyms()
        return lambda text, reference: float(meteor(reference.split(), text.split(), wordnet=no_synonyms))
    kind = name.replace("_", "").replace("l", "L")
    scorer = extra("rouge_score.rouge_scorer", name).RougeScorer([kind])
    return lambda text, reference: float(scorer.score(reference, text)[kind].fmeasure)


class _NoSynonyms:
    """Stands in for WordNet, which is data to download: no word has a synonym."""

    def synsets(self, word: str) -> Iterable[Any]:
        return ()


def _alike(name: Metric, first: Template, second: Template, task: Task, rollout: Rollout) -> float:
    return similarity(name, first.render(task, rollout), second.render(task, rollout))

"""The pocket model's tokenizer: byte-level BPE over words, digits single, the answer tags one token each."""

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

START, END, PAD = "<|im_start|>", "<|im_end|>", "<|pad|>"
TAGS = ("<reasoning>", "</reasoning>", "<answer>", "</answer>")
SIZE = 1000

# How Qwen2's tokenizer cuts text: transformers gives it to any Qwen2 model, whatever tokenizer.json says,
# so that another cut would not survive AutoTokenizer. Its NFC normaliser we leave out.
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# A little English that no problem contains, so that other people's prompts do not fall into letters.
ENGLISH = """
The quick answer is not always right. What do you think about this? Please write your answer in one line.
Solve the problem and show your work. Explain why, then give the final result as a single number. You will be given
a question, a list of words or a set of numbers. Return only the value. If there is no solution, say so. For example,
the sum of the two numbers is equal to the product. Each week there were three times as many as before. She would like
to know how much it costs, how long it takes and how far it is. They have been working for several hours per day.
Which of these is the largest? Find the total amount, the cost, the price, the rate, the time, the distance, the age,
the weight. One, two, three, four, five, six, seven, eight, nine, ten, twelve, twenty, hundred, first, second, third.
Twice as much, half as many, the rest, the remaining, percent of the original, less than, more than, at least.
Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday, week, month, year, hour, minute, day, morning, night.
Your task is to count the letters in the given text. Sort these numbers in ascending or descending order. Compute the
greatest common divisor. Calculate the following expression and simplify it. Use the tags exactly as they are given.
A man and a woman live in a house with their son and daughter. He said that it was not his, but hers or theirs.
I am here to help with small problems. Hello! Thank you, that was good. Yes, no, maybe. True or false?
"""


def make_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train on `texts`. Any UTF-8 text comes back unchanged, since every byte is a token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - len(TAGS),
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # Not special: a completion's text is read without special tokens, but with its tags.
    tokenizer.add_tokens([AddedToken(tag, normalized=False, special=False) for tag in TAGS])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        unk_token=PAD,  # never written, as all bytes are known; unnamed, it would become one token more
        additional_special_tokens=[START],
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
        padding_side="left",
    )

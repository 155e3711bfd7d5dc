"""Load a policy: the shipped model, a folder, a name on the Hugging Face Hub, or a saved adapter."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from goalward.errors import UsageError
from goalward.models import pocket, prover
from goalward.models.policy import Policy

NEW = "new:"
SHIPPED = {"pocket": pocket.PATH, "prover": prover.PATH}
"""The models in the package, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoRA:
    """Train low-rank adapters instead of the weights (Hu et al. 2021, arXiv:2106.09685), through PEFT.

    There is no dropout, as the weights that act must be those that learn.
    """

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Which model, and where it runs.

    name: "pocket" or "prover" (they ship with the package), a local folder, or a name on the Hugging Face Hub; "new:"
    before it: that architecture and tokenizer, with random weights (torch's generator draws them).
    dtype: auto is bfloat16 on CUDA and float32 elsewhere.
    device: auto is the first of CUDA, MPS and CPU that is there; else what torch calls it, as "cuda:1".
    revision: a branch, tag or commit on the Hub.
    """

    name: str
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = "auto"
    lora: LoRA | None = None
    revision: str | None = None


def load_policy(config: ModelConfig) -> Policy:
    """Load model and tokenizer, ready to act and to learn.

    A folder with an adapter (`adapter_config.json`) gives its base model with that adapter, trainable.
    Raises UsageError where there is no such model, device or package, or where the chat template
    rewrites earlier turns.
    """
    device = _device(config.device)
    dtype = _dtype(config.dtype, device)
    source = _source(config.name.removeprefix(NEW))
    if not sys.stderr.isatty():
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if (Path(source) / "adapter_config.json").is_file():
        model = _resume_adapter(source, dtype, config)
    else:
        make = _untrained if config.name.startswith(NEW) else _pretrained
        model = make(source, config.name, dtype, config.revision)
        if config.lora is not None:
            model = _add_adapter(model, config.lora, config.name)
    tokenizer = _tokenizer(source, config)
    return Policy(model.to(device), tokenizer, config.name)


def _device(name: str) -> torch.device:
    if name == "auto":
        found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(found)
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"device {name!r} cannot be used here; try device = 'auto' or 'cpu'") from error
    return device


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if name not in ("float32", "bfloat16"):
        raise UsageError(f"dtype {name!r} is not one of 'auto', 'float32', 'bfloat16'")
    return torch.float32 if name == "float32" else torch.bfloat16


def _source(name: str) -> str:
    """The folder or Hub name behind what a person wrote."""
    if name in SHIPPED:
        return str(SHIPPED[name])
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not any((folder / file).is_file() for file in ("config.json", "adapter_config.json")):
            raise UsageError(
                f"model {name!r}: the folder has no config.json, so it holds no Hugging Face model"
            )
        return str(folder)
    if name.startswith(("/", ".", "~")) or name.count("/") > 1 or folder.exists():
        raise UsageError(f"model {name!r}: there is no such folder")
    return name


def _pretrained(source: str, name: str, dtype: torch.dtype, revision: str | None) -> Any:
    """A causal language model from safetensors; no code from the Hub is ever run."""
    try:
        return AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype, revision=revision, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise UsageError(_refusal(name, source, error)) from error


def _untrained(source: str, name: str, dtype: torch.dtype, revision: str | None) -> Any:
    """A model of the same architecture, with random weights."""
    try:
        config = AutoConfig.from_pretrained(source, revision=revision)
    except (OSError, ValueError) as error:
        raise UsageError(_refusal(name, source, error)) from error
    return AutoModelForCausalLM.from_config(config, dtype=dtype)  # type: ignore[no-untyped-call]


def _tokenizer(source: str, config: ModelConfig) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, revision=config.revision)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"model {config.name!r}: its tokenizer cannot be loaded: {_first_line(error)}"
        ) from error
    written = Path(source) / "tokenizer.json"
    if tokenizer.is_fast and written.is_file():
        # transformers gives every Qwen2 model Qwen2's own normaliser, whatever the file says.
        tokenizer.backend_tokenizer.normalizer = Tokenizer.from_file(str(written)).normalizer
    return tokenizer


def _refusal(name: str, source: str, error: Exception) -> str:
    if Path(source).is_dir():
        return f"model {name!r}: cannot be loaded: {_first_line(error)}"
    if isinstance(error, OSError):
        return (
            f"model {name!r}: not a folder here and not found on the Hub ({_first_line(error)})\n"
            "Check the name, the connection, and for gated models `hf auth login`."
        )
    return f"model {name!r}: not a causal language model that transformers knows: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise UsageError("LoRA needs the peft package: pip install 'goalward[peft]'") from error
    return peft


def _add_adapter(model: Any, lora: LoRA, name: str) -> Any:
    peft = _peft()
    wanted = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,
        target_modules=list(lora.targets),
    )
    try:
        return peft.get_peft_model(model, wanted)
    except ValueError as error:
        raise UsageError(f"model {name!r}: LoRA cannot be added: {_first_line(error)}") from error


def _resume_adapter(folder: str, dtype: torch.dtype, config: ModelConfig) -> Any:
    """The base model that an adapter names, with the adapter, trainable."""
    peft = _peft()
    saved = peft.PeftConfig.from_pretrained(folder)
    if config.lora is not None:
        asked = (config.lora.rank, config.lora.alpha, set(config.lora.targets))
        if asked != (saved.r, saved.lora_alpha, set(saved.target_modules)):
            raise UsageError(
                f"model {config.name!r} is a LoRA adapter of rank {saved.r}, alpha {saved.lora_alpha} on "
                f"{', '.join(sorted(saved.target_modules))}; leave `lora` out, or ask for the same"
            )
    base = _pretrained(
        _source(saved.base_model_name_or_path), saved.base_model_name_or_path, dtype, saved.revision
    )
    return peft.PeftModel.from_pretrained(base, folder, is_trainable=True)

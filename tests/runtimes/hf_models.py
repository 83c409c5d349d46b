"""Tiny random models of transformers, with a tokenizer that is trained here: nothing is downloaded."""

from __future__ import annotations

from functools import cache

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

_TEXTS = ["Berlin is a city of many lights", "the quick brown fox jumps over the lazy dog", "good bad happy sad"]
_SPECIAL = ["<s>", "</s>", "<pad>", "<mask>"]
CHAT = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_BART = {"layers": 1, "attention_heads": 2, "ffn_dim": 32}
_ENDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}


@cache
def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """Bytes and a few pairs of them: it has a token for everything."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        _TEXTS * 10, trainers.BpeTrainer(vocab_size=320, special_tokens=_SPECIAL, initial_alphabet=alphabet)
    )
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>", mask_token="<mask>"
    )


def _bert(**more: object) -> transformers.BertConfig:
    torch.manual_seed(0)
    return transformers.BertConfig(vocab_size=len(tokenizer()), max_position_embeddings=128, **_SIZES, **more)


def classifier() -> transformers.BertForSequenceClassification:
    return transformers.BertForSequenceClassification(_bert(id2label={0: "sad", 1: "so-so", 2: "happy"})).eval()


def tagger() -> transformers.BertForTokenClassification:
    return transformers.BertForTokenClassification(_bert(id2label={0: "O", 1: "PLACE", 2: "ANIMAL"})).eval()


def masked() -> transformers.BertForMaskedLM:
    return transformers.BertForMaskedLM(_bert()).eval()


def encoder() -> transformers.BertModel:
    return transformers.BertModel(_bert()).eval()


def behind_padding() -> transformers.RobertaModel:
    """Has 64 positions, of which those up to the padding token's number, 2, are never used."""
    torch.manual_seed(0)
    config = transformers.RobertaConfig(vocab_size=len(tokenizer()), max_position_embeddings=64, **_SIZES, **_ENDS)
    return transformers.RobertaModel(config).eval()


def summarizer() -> transformers.BartForConditionalGeneration:
    """Reads no more than 32 tokens."""
    torch.manual_seed(0)
    config = transformers.BartConfig(
        **{"vocab_size": len(tokenizer()), "max_position_embeddings": 32, "d_model": 16},
        **{f"{part}_{what}": size for part in ("encoder", "decoder") for what, size in _BART.items()},
        **{**_ENDS, "decoder_start_token_id": 1, "forced_eos_token_id": None},
    )
    return transformers.BartForConditionalGeneration(config).eval()


def writer() -> transformers.LlamaForCausalLM:
    """Writes what nobody would, always the same when it takes the likeliest token."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer()), num_key_value_heads=1, max_position_embeddings=256, **_SIZES, **_ENDS
    )
    return transformers.LlamaForCausalLM(config).eval()


def translator() -> transformers.T5ForConditionalGeneration:
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=len(tokenizer()),
        **{"d_model": 32, "d_ff": 64, "num_layers": 2, "num_heads": 2, "d_kv": 16, "decoder_start_token_id": 2},
        **{"pad_token_id": 2, "eos_token_id": 1},
    )
    return transformers.T5ForConditionalGeneration(config).eval()


def chat_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """The tokenizer with a form for conversations."""
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer().backend_tokenizer, **_named())
    made.chat_template = CHAT
    return made


def _named() -> dict[str, str]:
    return {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"}

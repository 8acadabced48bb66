"""Constants of the method and the figures it published. Imports nothing of the kit.

Source of everything here: Yuxiang Wei, Zhe Wang, Jiawei Liu, Yifeng Ding, Lingming Zhang, *Magicoder:
Empowering Code Generation with OSS-Instruct*, ICML 2024, arXiv 2312.02120v2, and its reference
implementation (ise-uiuc/magicoder, MIT). Prompts and template are quoted exactly.
"""

LANGUAGES = ("python", "cpp", "java", "typescript", "shell", "csharp", "rust", "php", "swift")
"""The nine languages, as the released data names them (section 2.1)."""

STARCODERDATA_FOLDERS = {
    "python": "python",
    "cpp": "cpp",
    "java": "java",
    "typescript": "typescript",
    "shell": "shell",
    "csharp": "c-sharp",
    "rust": "rust",
    "php": "php",
}
"""Folder of each language in ``bigcode/starcoderdata``; Swift is ``data/swift`` of ``bigcode/the-stack``."""

QUOTA = {"python": 40_000} | {lang: 5_000 for lang in LANGUAGES if lang != "python"}
"""Seed documents a language (section 2.1)."""

SEED = 976
MIN_LINES, MAX_LINES = 1, 15
CHUNK_SIZE = 1_000

SYSTEM_PROMPT = (
    "You are exceptionally skilled at crafting high-quality programming problems and offering precise solutions."
)
"""The teacher's system message (appendix A)."""

USER_PROMPT = """\
Please gain inspiration from the following random code snippet to create a high-quality programming problem. \
Present your output in two distinct sections: [Problem Description] and [Solution].

Code snippet for inspiration:
```
{code}
```

Guidelines for each section:

1. [Problem Description]: This should be **completely self-contained**, providing all the contextual information \
one needs to understand and solve the problem. Assume common programming knowledge, but ensure that any specific \
context, variables, or code snippets pertinent to this problem are explicitly included.

2. [Solution]: Offer a comprehensive, **correct** solution that accurately addresses the [Problem Description] \
you provided."""
"""The teacher's user message (appendix A); the snippet replaces ``{code}``."""

TEACHER = "gpt-3.5-turbo-1106"
TEMPERATURE = 0.0
MAX_NEW_TOKENS = 2_500
CONTEXT_LENGTH = 8_192
CONTEXT_MARGIN = 10

CLEANING_SEED = 666
HUMANEVAL_EXEMPT = ("return x + y", "return len(string)", "return n**2", 'return " ".join(strings)')
"""Canonical solutions too short to prove contamination; not searched for."""

INSTRUCTION = "Write a solution to the following coding problem:\n{problem}"
TRAINING_TEMPLATE = """\
You are an exceptionally intelligent coding assistant that consistently delivers accurate and reliable responses \
to user instructions.

@@ Instruction
{instruction}

@@ Response
{response}"""
"""Template of fine-tuning and evaluation (appendix B); the prompt is everything before ``{response}``."""

MAX_TRAINING_TOKENS = {"stage 1": 1216, "stage 2": 1024}
LEARNING_RATE, EPOCHS, WARMUP_STEPS, BATCH_SIZE = 5e-5, 2, 15, 512
BASES = {"CL": "codellama/CodeLlama-7b-Python-hf", "DS": "deepseek-ai/deepseek-coder-6.7b-base"}

EVALUATION_INSTRUCTION = "Write a solution to the following problem:\n```python\n{prompt}\n```"
EVALUATION_NEW_TOKENS = 512

CATEGORIES = tuple(
    f"{name} Problems"
    for name in (
        "Algorithmic and Data Structure",
        "Mathematical and Computational",
        "Database and SQL",
        "System Design and Architecture",
        "Security and Cryptography",
        "Performance Optimization",
        "Web",
        "Domain Specific",
        "User Interface and Application Design",
        "Data Science and Machine Learning",
    )
)
"""The ten categories of figure 4 (section 2.2)."""

OSS_INSTRUCT_ROWS = 75_197
"""Rows of ``ise-uiuc/Magicoder-OSS-Instruct-75K`` as released."""

DECONTAMINATED = {"OSS-Instruct": 9, "evol-codealpaca-v1": 89}
"""Rows removed by decontamination (section 2.3)."""

PYTHON_SHARE = 0.57
"""Share of Python in the generated problems (section 2.2)."""

HUMANEVAL_SIMILARITY = {"OSS-Instruct": 0.105, "evol-codealpaca-v1": 0.131, "Code Alpaca 20K (Self-Instruct)": 0.169}
"""Mean highest TF-IDF cosine similarity to the 164 HumanEval problems (figure 6)."""

PASS_AT_1 = {
    "GPT-3.5 Turbo": (72.6, 65.9, 81.7, 69.4),
    "CodeLlama-Python-7B": (37.8, 34.1, 57.6, 45.4),
    "WizardCoder-CL-7B": (48.2, 40.9, 56.6, 47.1),
    "Magicoder-CL-7B": (60.4, 55.5, 64.2, 52.6),
    "MagicoderS-CL-7B": (70.7, 66.5, 68.4, 56.6),
    "DeepSeek-Coder-Instruct-6.7B": (73.8, 70.1, 72.7, 63.4),
    "Magicoder-DS-6.7B": (66.5, 60.4, 75.4, 61.9),
    "MagicoderS-DS-6.7B": (76.8, 70.7, 75.7, 64.4),
}
"""Greedy pass@1 in per cent: HumanEval, HumanEval+, MBPP, MBPP+ (tables 1 and 4)."""

PASS_AT_1_COLUMNS = ("HumanEval", "HumanEval+", "MBPP", "MBPP+")

DS1000_OVERALL = {"WizardCoder-SC-15B": 29.2, "Magicoder-CL-7B": 29.9, "MagicoderS-CL-7B": 37.5}
"""DS-1000 completion pass@1 in per cent, all libraries (table 3)."""

APPS_300 = {"CodeLlama-Python-7B": 2.3, "MagicoderS-CL-7B": 8.7}
"""Greedy pass@1 in per cent on 300 APPS test problems (appendix)."""

LANGUAGE_ABLATION = {
    "no fine-tuning": (34.1, 29.6),
    "Python only (43K)": (47.6, 32.7),
    "other languages only (32K)": (44.5, 38.3),
    "both (75K)": (55.5, 37.8),
}
"""HumanEval+ and mean MultiPL-E of CodeLlama-Python-7B tuned two epochs, in per cent (table 5)."""

COMMENT_FUNCTION_PAIRS = (34.1, 24.1)
"""The same with 75K comment-function pairs in place of OSS-Instruct (table 6)."""

MIXTRAL_TEACHER = {"Mixtral-8x7B-Instruct-v0.1": (39.6, 47.4), "Magicoder-CL on its 20K rows": (55.5, 50.4)}
"""HumanEval+ and MBPP+ of a weaker teacher and of its student, in per cent (table 7)."""

WITHOUT_PARTIAL_ROWS = 54.9
"""HumanEval+ after dropping rows with ``pass`` or ``NotImplemented`` (75K to 68K), in per cent (table 10)."""

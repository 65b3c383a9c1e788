"""What pyproject.toml cannot say: configs/, at the top of a checkout, is seq2seq/configs in what is built."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["seq2seq*"]), "seq2seq.configs"],
    package_dir={"seq2seq.configs": "configs"},
    package_data={
        "seq2seq": ["py.typed", *(f"analysis/attention/*.{kind}" for kind in ("html", "css", "js"))],
        "seq2seq.configs": ["**/*.yaml"],
    },
)

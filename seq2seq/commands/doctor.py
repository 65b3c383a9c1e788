"""Find what is wrong with a corpus before training on it.

seq2seq doctor data=files data.train.source=FILE ...; the words of train, or run=NAME; fix=FOLDER writes a clean copy
"""

from seq2seq.config import Script
from seq2seq.config.schema import DoctorSettings

SCRIPT = Script(
    "doctor",
    DoctorSettings,
    run="seq2seq.analysis.doctor.doctor:examine",
    size_of="seq2seq.analysis.doctor.look:text_size",
)

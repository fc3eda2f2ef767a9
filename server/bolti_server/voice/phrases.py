"""What an agent says of itself when something of ours goes wrong, by language. Pure data.

Rule: nobody hears silence because of us for more than 10 seconds: these words fill it, in the agent's language where we
have them, else in English.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Phrases:
    ask_again: str  # one answer failed: the next may work
    apology: str  # the models failed for good: the call ends after this
    farewell: str  # this worker stops: the call ends after this
    one_moment: str  # a tool takes long
    still_there: str  # nobody speaks
    connected: str  # somebody has come into the call by a warm transfer
    cut_off: str  # the agent before was lost in the call: this one goes on


_ENGLISH = Phrases(
    ask_again="Sorry, I did not get that. Could you say it again?",
    apology="I am sorry, I have a technical problem and have to end this call. Goodbye.",
    farewell="I am sorry, I have to end this call now. Goodbye.",
    one_moment="One moment, please.",
    still_there="Are you still there?",
    connected="You are connected now. Please go ahead.",
    cut_off="Sorry, I was cut off for a moment.",
)
_BY_LANGUAGE = {
    "en": _ENGLISH,
    "hi": Phrases(
        ask_again="माफ़ कीजिए, मैं समझ नहीं पाई। क्या आप दोबारा कहेंगे?",
        apology="माफ़ कीजिए, एक तकनीकी समस्या के कारण मुझे यह कॉल समाप्त करनी पड़ रही है। नमस्ते।",
        farewell="माफ़ कीजिए, मुझे अब यह कॉल समाप्त करनी है। नमस्ते।",
        one_moment="कृपया एक क्षण रुकिए।",
        still_there="क्या आप लाइन पर हैं?",
        connected="अब आप जुड़ गए हैं। कृपया बात कीजिए।",
        cut_off="माफ़ कीजिए, मेरी आवाज़ एक क्षण के लिए कट गई थी।",
    ),
}


def phrases_in(language: str) -> Phrases:
    """`language` is a code such as hi or en-IN."""
    return _BY_LANGUAGE.get(language.split("-", 1)[0].lower(), _ENGLISH)

"""The catalogue of models as the API shows it."""

from __future__ import annotations

from collections.abc import Sequence

from bolti_server.contract import structs
from bolti_server.models import catalogue


def record() -> structs.Catalogue:
    return structs.Catalogue(
        stt=_providers(catalogue.STT),
        llm=_providers(catalogue.LLM),
        tts=_providers(catalogue.TTS),
    )


def _providers(providers: Sequence[catalogue.Provider]) -> list[structs.CatalogueProvider]:
    return [
        structs.CatalogueProvider(
            provider=each.provider,
            name=each.name,
            is_default=each.is_default,
            is_simulated=each.is_simulated,
            models=[
                structs.CatalogueModel(
                    model=model.model,
                    is_default=model.is_default,
                    languages=list(model.languages),
                )
                for model in each.models
            ],
            voices=[
                structs.CatalogueVoice(voice=voice.voice, name=voice.name, language=voice.language)
                for voice in each.voices
            ],
        )
        for each in providers
    ]

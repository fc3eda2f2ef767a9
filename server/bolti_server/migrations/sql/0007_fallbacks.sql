-- Agents that were saved before they could name whom to ask when a model fails: nobody.
update agent_versions set configuration =
    '{"stt_fallbacks": [], "llm_fallbacks": [], "tts_fallbacks": []}'::jsonb || configuration;

namespace Sluice.Worker.Generation.Chat.ToolCalls;

/// <summary>How the models of a family write calls of tools.</summary>
public enum ToolCallFormat
{
    /// <summary>Hermes and Qwen: JSON between <c>&lt;tool_call&gt;</c> and <c>&lt;/tool_call&gt;</c>.</summary>
    Hermes,

    /// <summary>Llama 3: the answer is a JSON object, at times after <c>&lt;|python_tag|&gt;</c>.</summary>
    Llama,

    /// <summary>DeepSeek V3 and R1: special tokens around the name, and JSON in a code block.</summary>
    DeepSeek,

    /// <summary>Gemma 3: a JSON object, alone or in a code block.</summary>
    Gemma,

    /// <summary>gpt-oss: messages in channels (the "harmony" format).</summary>
    Harmony,
}

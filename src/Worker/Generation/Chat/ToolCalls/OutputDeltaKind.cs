namespace Sluice.Worker.Generation.Chat.ToolCalls;

/// <summary>The kinds of parts of an answer.</summary>
public enum OutputDeltaKind
{
    /// <summary>Text for the user.</summary>
    Text,

    /// <summary>What the model thinks before it answers.</summary>
    Reasoning,

    /// <summary>A new call of a tool, with its id and name.</summary>
    CallStart,

    /// <summary>A piece of the arguments of a call, which are JSON.</summary>
    CallArguments,
}

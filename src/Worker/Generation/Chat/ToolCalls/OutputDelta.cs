namespace Sluice.Worker.Generation.Chat.ToolCalls;

/// <summary>A part of an answer, as streams of OpenAI's API have it.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Text">The text or the piece of arguments; empty for the start of a call.</param>
/// <param name="Index">The index of the call: 0, 1, 2, ...; -1 if it is no call.</param>
/// <param name="Id">The id of a new call.</param>
/// <param name="Name">The name of the tool of a new call.</param>
public sealed record OutputDelta(
    OutputDeltaKind Kind,
    string Text,
    int Index = -1,
    string? Id = null,
    string? Name = null);

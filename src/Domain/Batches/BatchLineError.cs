namespace Sluice.Domain.Batches;

/// <summary>Why a line of the input of a batch is not valid.</summary>
/// <param name="Line">The line, from 1.</param>
/// <param name="Code">The machine-readable code, as in OpenAI's API.</param>
/// <param name="Field">The field of the line; null: the line is not an object.</param>
/// <param name="Message">The field, its value, and the expected value.</param>
public sealed record BatchLineError(int Line, string Code, string? Field, string Message);

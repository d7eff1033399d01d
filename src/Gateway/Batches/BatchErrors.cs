using System.Text.Json.Serialization;
using Sluice.Domain.Batches;

namespace Sluice.Gateway.Batches;

/// <summary>Why the input of a batch is not valid, as in OpenAI's API.</summary>
/// <param name="Data">The errors, at most <see cref="Most"/>.</param>
public sealed record BatchErrors(IReadOnlyList<BatchError> Data)
{
    /// <summary>The most errors that are reported.</summary>
    public const int Most = 100;

    /// <summary>The type of the object.</summary>
    [JsonPropertyName("object")]
    public string Type => "list";
}

/// <summary>One error of the input.</summary>
/// <param name="Code">The machine-readable code.</param>
/// <param name="Message">Field, value and expected value.</param>
/// <param name="Param">The field; null: the line as a whole.</param>
/// <param name="Line">The line, from 1; null: the file as a whole.</param>
public sealed record BatchError(string Code, string Message, string? Param, int? Line)
{
    /// <summary>Returns the error of a line.</summary>
    public static BatchError From(BatchLineError error) => new(error.Code, error.Message, error.Field, error.Line);
}

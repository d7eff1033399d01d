using System.Text.Json;
using Sluice.Worker.Generation;

namespace Sluice.Worker.OpenAi;

/// <summary>The form of the response to one request.</summary>
internal interface IResponseFormat
{
    /// <summary>Largest number of characters of a prompt that the response repeats.</summary>
    int RepeatedCharacters { get; }

    /// <summary>Writes the events for a piece, which the choice contains already.</summary>
    void Write(EventStream events, Choice choice, GeneratedPiece piece);

    /// <summary>Writes the last event, with the number of tokens.</summary>
    void WriteUsageEvent(Utf8JsonWriter json, Usage usage);

    /// <summary>Writes the whole response.</summary>
    void WriteWhole(Utf8JsonWriter json, IReadOnlyList<Choice> choices, Usage usage);
}

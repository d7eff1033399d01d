using System.Text.Json;
using Sluice.Storage.Keys;

namespace Sluice.Gateway.Batches;

/// <summary>What a client asked when it created a batch, and what its key allowed then.</summary>
/// <param name="Endpoint">The path that each line requests.</param>
/// <param name="CompletionWindow">The time until the batch expires, as the client wrote it.</param>
/// <param name="Metadata">The metadata of the client.</param>
/// <param name="Scope">The permissions of the key.</param>
/// <param name="Weight">The weight of the key in the queue.</param>
/// <param name="OutputSeconds">How long the output is kept, in seconds; 0: as long as other files.</param>
/// <param name="Trace">The span of its submission; null: it was not recorded.</param>
public sealed record BatchRequest(
    string Endpoint,
    string CompletionWindow,
    IReadOnlyDictionary<string, string>? Metadata,
    KeyScope Scope,
    double Weight,
    long OutputSeconds,
    string? Trace = null)
{
    /// <summary>Reads the stored request.</summary>
    public static BatchRequest Parse(string json) =>
        JsonSerializer.Deserialize(json, BatchJson.Default.BatchRequest)
        ?? throw new InvalidDataException("Request of a batch is null; expected an object");

    /// <summary>Returns the request as JSON.</summary>
    public string Write() => JsonSerializer.Serialize(this, BatchJson.Default.BatchRequest);
}

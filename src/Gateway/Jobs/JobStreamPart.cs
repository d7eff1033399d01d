using System.Text.Json;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// The form of a part of a job stream, for the OpenAPI document. <see cref="JobStreamApi"/> writes it, because it
/// copies the stored chunks without parsing them.
/// </summary>
/// <param name="Id">The job id.</param>
/// <param name="Status">The status of the job. It is not final while chunks remain.</param>
/// <param name="Stream">The chunks since the last response.</param>
/// <param name="Cursor">The index of the next chunk.</param>
/// <param name="Error">The error text of a failed job. The field is omitted if there is none.</param>
public sealed record JobStreamPart(
    string Id, string Status, IReadOnlyList<JobStreamChunk> Stream, int Cursor, string? Error = null);

/// <summary>A chunk of a job stream: any JSON.</summary>
public sealed record JobStreamChunk(JsonElement Output);

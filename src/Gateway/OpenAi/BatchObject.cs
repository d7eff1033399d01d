using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Domain.Batches;
using Sluice.Gateway.Batches;
using Sluice.Storage.Batches;

namespace Sluice.Gateway.OpenAi;

/// <summary>A batch, as OpenAI's API describes it. Times are in Unix seconds; null: it has not happened.</summary>
public sealed record BatchObject
{
    public required string Id { get; init; }

    /// <summary>The type of the object.</summary>
    [JsonPropertyName("object")]
    public string Type => "batch";

    /// <summary>The path that each line requests.</summary>
    public required string Endpoint { get; init; }

    /// <summary>Why the input is not valid.</summary>
    public BatchErrors? Errors { get; init; }

    [JsonPropertyName("input_file_id")]
    public required string InputFileId { get; init; }

    [JsonPropertyName("completion_window")]
    public required string CompletionWindow { get; init; }

    public required string Status { get; init; }

    /// <summary>The file with the responses; null: there are none yet.</summary>
    [JsonPropertyName("output_file_id")]
    public string? OutputFileId { get; init; }

    /// <summary>The file with the lines that failed; null: there are none yet.</summary>
    [JsonPropertyName("error_file_id")]
    public string? ErrorFileId { get; init; }

    [JsonPropertyName("created_at")]
    public long CreatedAt { get; init; }

    [JsonPropertyName("in_progress_at")]
    public long? InProgressAt { get; init; }

    [JsonPropertyName("expires_at")]
    public long ExpiresAt { get; init; }

    [JsonPropertyName("finalizing_at")]
    public long? FinalizingAt { get; init; }

    [JsonPropertyName("completed_at")]
    public long? CompletedAt { get; init; }

    [JsonPropertyName("failed_at")]
    public long? FailedAt { get; init; }

    [JsonPropertyName("expired_at")]
    public long? ExpiredAt { get; init; }

    [JsonPropertyName("cancelling_at")]
    public long? CancellingAt { get; init; }

    [JsonPropertyName("cancelled_at")]
    public long? CancelledAt { get; init; }

    [JsonPropertyName("request_counts")]
    public required BatchCounts RequestCounts { get; init; }

    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Returns the object of a batch.</summary>
    public static BatchObject From(BatchState batch)
    {
        var request = BatchRequest.Parse(batch.Request);
        return new BatchObject
        {
            Id = batch.Id,
            Endpoint = request.Endpoint,
            Errors = batch.Errors is { } errors
                ? JsonSerializer.Deserialize(errors, BatchJson.Default.BatchErrors) : null,
            InputFileId = batch.InputFile,
            CompletionWindow = request.CompletionWindow,
            Status = batch.Status,
            OutputFileId = batch.OutputFile,
            ErrorFileId = batch.ErrorFile,
            CreatedAt = batch.Created.ToUnixTimeSeconds(),
            InProgressAt = At(BatchStatus.InProgress),
            ExpiresAt = batch.Expires.ToUnixTimeSeconds(),
            FinalizingAt = At(BatchStatus.Finalizing),
            CompletedAt = At(BatchStatus.Completed),
            FailedAt = At(BatchStatus.Failed),
            ExpiredAt = At(BatchStatus.Expired),
            CancellingAt = At(BatchStatus.Cancelling),
            CancelledAt = At(BatchStatus.Cancelled),
            RequestCounts = new BatchCounts(batch.Total, batch.Completed, batch.Failed),
            Metadata = request.Metadata,
        };

        long? At(string status) => batch.Entered.TryGetValue(status, out var at) ? at : null;
    }
}

/// <summary>How many lines of a batch have ended.</summary>
/// <param name="Total">All lines.</param>
/// <param name="Completed">Lines with a response.</param>
/// <param name="Failed">Lines without one, or with a status of 400 and more.</param>
public sealed record BatchCounts(int Total, int Completed, int Failed);

/// <summary>A page of batches.</summary>
/// <param name="Data">The batches.</param>
/// <param name="FirstId">The id of the first one.</param>
/// <param name="LastId">The id of the last one, for <c>?after=</c>.</param>
/// <param name="HasMore">Whether more follow.</param>
public sealed record ListBatchesResponse(
    IReadOnlyList<BatchObject> Data,
    [property: JsonPropertyName("first_id")] string? FirstId,
    [property: JsonPropertyName("last_id")] string? LastId,
    [property: JsonPropertyName("has_more")] bool HasMore)
{
    /// <summary>The type of the object.</summary>
    [JsonPropertyName("object")]
    public string Type => "list";
}

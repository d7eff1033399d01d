using System.Text;
using System.Text.Json;
using Sluice.Domain.Batches;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Batches;

/// <summary>The line of the output for a line of the input.</summary>
/// <param name="Number">The line of the input, from 1.</param>
/// <param name="IsError">Whether it belongs to the file of errors.</param>
/// <param name="Json">JSON, with a line end.</param>
public sealed record BatchResult(int Number, bool IsError, byte[] Json)
{
    /// <summary>The job that ran the line; null: none did.</summary>
    public Job? Job { get; init; }

    /// <summary>Returns the line for a job that has ended.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="line">The line of the input.</param>
    /// <param name="endpoint">The endpoint of the batch.</param>
    /// <param name="job">The job, with its output.</param>
    public static BatchResult From(string batch, BatchLine line, string endpoint, Job job)
    {
        var (number, customId) = (line.Number, line.CustomId);
        if (job.Output is not { } output)
            return Failed(batch, number, customId, job.Error?.Code ?? job.Status,
                job.Error?.Message ?? "The line was cancelled.") with { Job = job };
        var (status, body) = PathJob.Parse(output);
        if (endpoint == BatchResponses.Endpoint) body = BatchResponses.ToResponse(batch, line, job, status, body);
        var response = $$"""{"status_code":{{status}},"request_id":"{{job.Id}}","body":{{body}}}""";
        return new BatchResult(number, status >= 400, Line(batch, number, customId, response, "null")) { Job = job };
    }

    /// <summary>Returns the line for a request without a response.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="number">The line.</param>
    /// <param name="customId">The id of the client.</param>
    /// <param name="code">The machine-readable code.</param>
    /// <param name="message">The error text.</param>
    public static BatchResult Failed(string batch, int number, string customId, string code, string message) =>
        new(number, IsError: true, Line(batch, number, customId, "null",
            $$"""{"code":{{Quote(code)}},"message":{{Quote(message)}}}"""));

    private static byte[] Line(string batch, int number, string customId, string response, string error) =>
        Encoding.UTF8.GetBytes($$"""{"id":"{{batch.Replace("batch_", "batch_req_", StringComparison.Ordinal)}}_"""
            + $$"""{{number}}","custom_id":{{Quote(customId)}},"response":{{response}},"error":{{error}}}""" + "\n");

    private static string Quote(string text) => JsonSerializer.Serialize(text, BatchJson.Default.String);
}

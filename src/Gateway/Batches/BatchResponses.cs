using System.Security.Cryptography;
using System.Text;
using Sluice.Domain.Batches;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Responses;

namespace Sluice.Gateway.Batches;

/// <summary>
/// Translates the lines of batches of <c>/v1/responses</c>. Their jobs are requests of chat completions. Pure.
/// </summary>
internal static class BatchResponses
{
    public const string Endpoint = "/v1/responses";

    /// <summary>Returns why a line cannot be translated; null: it can.</summary>
    public static BatchLineError? Check(BatchLine line)
    {
        try
        {
            var request = Read(line);
            request.ToChat([]);
            if (request.IsBackground)
                throw new ResponseFaultException("background", "'background' is 'true'; expected 'false' in a batch.");
            return request.PreviousId is null ? null : throw new ResponseFaultException("previous_response_id",
                "'previous_response_id' is given; expected no value in a batch.");
        }
        catch (ResponseFaultException e)
        {
            return new BatchLineError(line.Number, "invalid_request",
                e.Param is { } param ? $"body.{param}" : "body", $"Line {line.Number}: {e.Message}");
        }
    }

    /// <summary>Returns the body of the chat request.</summary>
    public static byte[] ToChat(BatchLine line) => ResponseJson.WriteBytes(Read(line).ToChat([]));

    /// <summary>Returns the body of a line of the output.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="line">The line of the input.</param>
    /// <param name="job">The job that ran it.</param>
    /// <param name="status">The status of the worker.</param>
    /// <param name="body">The body of the worker, as JSON.</param>
    public static string ToResponse(string batch, BatchLine line, Job job, int status, string body)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        if (status >= 400) return Encoding.UTF8.GetString(ResponseErrors.Translate(bytes));
        var echo = Read(line).Echo();
        // The output of the batch has the response.
        echo["store"] = false;
        var assembler = new ResponseAssembler(IdOf(batch, line.Number), job.Submitted.ToUnixTimeSeconds(), echo);
        assembler.Start();
        if (ResponseJson.Parse(bytes, out var why) is { } chat) assembler.Add(chat);
        else assembler.Fail(null, $"The response of the worker is not a chat completion: {why}");
        assembler.End();
        return ResponseJson.Write(assembler.ToObject());
    }

    /// <summary>Returns the same id when a run of the batch repeats the line.</summary>
    private static string IdOf(string batch, int line) =>
        "resp_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{batch}-{line}")))[..32];

    private static ResponseRequest Read(BatchLine line) => new(ResponseJson.Parse(line.Body, out var why)
        ?? throw new ResponseFaultException("", $"The body is not a valid JSON object: {why}"));
}

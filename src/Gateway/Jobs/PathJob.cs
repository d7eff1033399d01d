using System.Net;
using System.Text;
using System.Text.Json;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// Jobs whose input is the body of a request to a path of the worker. Their output is the response:
/// <c>{"status_code": number, "body": any}</c>.
/// </summary>
public static class PathJob
{
    /// <summary>The outcome of an attempt whose text is in the log of the job.</summary>
    internal static AttemptOutcome Streamed { get; } =
        new(AttemptKind.Completed) { Output = """{"status_code":200,"body":null}"""u8.ToArray() };

    /// <summary>Returns the path of a job; null: the job is for the handler of the template.</summary>
    /// <param name="s3">The field <c>s3</c> of the claim. JSON does not begin with a slash.</param>
    public static string? PathOf(byte[]? s3) => s3 is [(byte)'/', ..] ? Encoding.ASCII.GetString(s3) : null;

    /// <summary>
    /// Whether the response to a request is the output of its job. Other statuses say that the worker cannot serve the
    /// request now.
    /// </summary>
    public static bool IsOutput(HttpStatusCode status) => (int)status < 500 && status != HttpStatusCode.TooManyRequests;

    /// <summary>Returns the outcome of an attempt whose response is the output.</summary>
    /// <param name="status">The status of the response.</param>
    /// <param name="body">The body, in valid UTF-8.</param>
    public static AttemptOutcome Read(HttpStatusCode status, byte[] body)
    {
        var all = new MemoryStream(body.Length + 64);
        all.Write(Encoding.ASCII.GetBytes($$"""{"status_code":{{(int)status}},"body":"""));
        if (IsJson(body)) all.Write(OneLine(body));
        else if ((int)status < 300)
            return AttemptOutcome.Failed(JobErrors.AnswerInvalid, "The response of the worker is not valid JSON.");
        else all.Write(JsonSerializer.SerializeToUtf8Bytes(Encoding.UTF8.GetString(body), JobJson.Default.String));
        all.WriteByte((byte)'}');
        return new AttemptOutcome(AttemptKind.Completed) { Output = all.ToArray() };
    }

    /// <summary>Returns the status and the body of an output, as JSON on one line.</summary>
    /// <exception cref="JsonException">The bytes are not the output of such a job.</exception>
    public static (int Status, string Body) Parse(ReadOnlyMemory<byte> output)
    {
        using var document = JsonDocument.Parse(output, new JsonDocumentOptions { MaxDepth = 513 });
        return (document.RootElement.GetProperty("status_code").GetInt32(),
            document.RootElement.GetProperty("body").GetRawText());
    }

    private static bool IsJson(byte[] body)
    {
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 512 });
            while (reader.Read())
            {
                // Only validates the syntax.
            }

            return body.Length > 0;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Returns JSON on one line. A line break between tokens is equivalent to a space.</summary>
    private static byte[] OneLine(byte[] json) =>
        Array.ConvertAll(json, b => b is (byte)'\n' or (byte)'\r' ? (byte)' ' : b);
}

using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Http;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// Reads the bodies of job submissions, and of other requests that the gateway holds. It limits the size of each body,
/// the memory of all bodies at this gateway, and the time without progress. Without the last limit, anyone could open
/// many connections to a public endpoint that each send most of a body and then nothing.
/// </summary>
public sealed class JobBodyReader(ByteBudget budget, TimeProvider time)
{
    /// <summary>
    /// How often a body is counted. It is in memory as received, as one array, and as the input that is copied from it;
    /// the first two only for a short time.
    /// </summary>
    private const int Copies = 2;

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Reads the complete body. It is in memory until it is disposed. Null: an error response was written.
    /// </summary>
    public Task<JobBody?> ReadAsync(HttpContext context, Endpoint endpoint) =>
        ReadAsync(context, endpoint.Jobs.MaxInputBytes, " (jobs.maxInputBytes of the endpoint)");

    /// <summary>
    /// Reads the complete body. It is in memory until it is disposed. Null: an error response was written.
    /// </summary>
    /// <param name="context">The request.</param>
    /// <param name="limit">Maximum bytes.</param>
    /// <param name="rule">Where the limit is set, for the error text; empty: it is fixed.</param>
    public async Task<JobBody?> ReadAsync(HttpContext context, long limit, string rule)
    {
        if (context.Request.ContentLength > limit)
        {
            RequestBodyDrain.LetSend(context);
            await TooLargeAsync(context, context.Request.ContentLength.Value, limit, rule);
            return null;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = limit;
        var body = new JobBody(budget);
        try
        {
            if (await ReadAsync(context, body, limit, rule)) return body;
        }
        catch
        {
            body.Dispose();
            throw;
        }

        body.Dispose();
        return null;
    }

    private async Task<bool> ReadAsync(HttpContext context, JobBody body, long limit, string rule)
    {
        var input = context.Request.BodyReader;
        await using var pace = new PacedBodyReader(input, time);
        while (true)
        {
            ReadResult read;
            try
            {
                read = await pace.ReadAsync(context.RequestAborted);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                // Kestrel also throws other exceptions than BadHttpRequestException: a chunk size beyond 64 bits
                // overflows its parser.
                if (e is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge })
                    await TooLargeAsync(context, limit + 1, limit, rule);
                else
                    await Problem.WriteAsync(context,
                        (e as BadHttpRequestException)?.StatusCode ?? StatusCodes.Status400BadRequest,
                        $"The body cannot be read: {e.Message}");
                return false;
            }

            var length = read.Buffer.Length;
            if (length > limit || read.IsCanceled || !body.TryGrow(Copies * length))
            {
                // The received bytes are not needed. Their memory is released before the response is sent.
                input.AdvanceTo(read.Buffer.End);
                body.Dispose();
                await (length > limit ? TooLargeAsync(context, length, limit, rule)
                    : read.IsCanceled ? TooSlowAsync(context) : NoMemoryAsync(context));
                return false;
            }

            if (read.IsCompleted)
            {
                body.Bytes = read.Buffer.ToArray();
                input.AdvanceTo(read.Buffer.End);
                return true;
            }

            pace.Arrived = length;
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private static Task TooLargeAsync(HttpContext context, long bytes, long limit, string rule) =>
        Problem.WriteAsync(context, StatusCodes.Status413PayloadTooLarge,
            $"The body has {bytes} bytes or more; expected at most {limit} bytes{rule}.");

    private static Task TooSlowAsync(HttpContext context)
    {
        Close(context);
        return Problem.WriteAsync(context, StatusCodes.Status408RequestTimeout,
            PacedBodyReader.TooSlow);
    }

    private Task NoMemoryAsync(HttpContext context)
    {
        Close(context);
        return Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable,
            "The bodies of other requests use the body memory of this gateway (SLUICE_BODY_MEMORY is "
            + $"{budget.Limit >> 20} MiB). Send the request again later.", RetryDelay);
    }

    /// <summary>
    /// Closes the connection, so that the rest of the body is not read. HTTP/2 has no such header; its stream is reset.
    /// </summary>
    private static void Close(HttpContext context)
    {
        if (HttpProtocol.IsHttp11(context.Request.Protocol)) context.Response.Headers.Connection = "close";
    }
}

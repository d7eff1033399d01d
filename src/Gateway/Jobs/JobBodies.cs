using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Gateway.Api;
using Sluice.Gateway.Forwarding;
using Endpoint = Sluice.Core.Endpoints.Endpoint;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// Reads the bodies of job submissions. Bounded are the size of each, the memory of all at this gateway, and the time without progress: a public
/// endpoint lets anyone open many connections that each send most of a body and then nothing.
/// </summary>
public sealed class JobBodies(ByteBudget budget, TimeProvider time)
{
    /// <summary>In each window of this length a body that is not complete must bring at least <see cref="WindowBytes"/>.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromSeconds(10);

    /// <summary>13 kbit/s. Kestrel's own minimum rate is an average since the first byte, so a fast start allows hours of silence.</summary>
    public const int WindowBytes = 16 << 10;

    /// <summary>A body is in memory as it arrived, as one array, and as the input that is cut out of it; the first two not for long.</summary>
    private const int Copies = 2;

    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(1);

    /// <summary>The whole body, in memory until it is disposed; null: the response has been written.</summary>
    public async Task<JobBody?> ReadAsync(HttpContext context, Endpoint endpoint)
    {
        var limit = endpoint.Jobs.MaxInputBytes;
        if (context.Request.ContentLength > limit)
        {
            EarlyRefusal.LetSend(context);
            await TooLargeAsync(context, context.Request.ContentLength.Value, limit);
            return null;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature) feature.MaxRequestBodySize = limit;
        var body = new JobBody(budget);
        try
        {
            if (await ReadAsync(context, body, limit)) return body;
        }
        catch
        {
            body.Dispose();
            throw;
        }

        body.Dispose();
        return null;
    }

    private async Task<bool> ReadAsync(HttpContext context, JobBody body, long limit)
    {
        var input = context.Request.BodyReader;
        await using var pace = new Pace(input, time);
        while (true)
        {
            ReadResult read;
            try
            {
                read = await pace.ReadAsync(context.RequestAborted);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                // Kestrel throws more than its own kind at a body: a chunk size beyond 64 bits overflows its reader.
                if (e is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }) await TooLargeAsync(context, limit + 1, limit);
                else
                    await Problem.WriteAsync(context, (e as BadHttpRequestException)?.StatusCode ?? StatusCodes.Status400BadRequest,
                        $"the body cannot be read: {e.Message}");
                return false;
            }

            var length = read.Buffer.Length;
            if (length > limit || read.IsCanceled || !body.TryGrow(Copies * length))
            {
                // What has arrived is not needed: its memory is free before the response is sent.
                input.AdvanceTo(read.Buffer.End);
                body.Dispose();
                await (length > limit ? TooLargeAsync(context, length, limit) : read.IsCanceled ? TooSlowAsync(context) : NoMemoryAsync(context));
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

    private static Task TooLargeAsync(HttpContext context, long bytes, long limit) => Problem.WriteAsync(context, StatusCodes.Status413PayloadTooLarge,
        $"the job has {bytes} bytes or more, the endpoint's limit jobs.maxInputBytes is {limit}");

    private static Task TooSlowAsync(HttpContext context)
    {
        Close(context);
        return Problem.WriteAsync(context, StatusCodes.Status408RequestTimeout,
            $"the body stopped: fewer than {WindowBytes} bytes arrived in {Window.TotalSeconds:0} s");
    }

    private Task NoMemoryAsync(HttpContext context)
    {
        Close(context);
        return Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable,
            $"the bodies of other jobs use the memory that this gateway has for them (SLUICE_BODY_MEMORY is {budget.Limit >> 20} MiB)", AskAgain);
    }

    /// <summary>The rest of the body is not wanted. HTTP/2 resets its stream by itself, and has no such header.</summary>
    private static void Close(HttpContext context)
    {
        if (HttpProtocol.IsHttp11(context.Request.Protocol)) context.Response.Headers.Connection = "close";
    }

    /// <summary>Reads a body, and cancels a read in a window that brought too little.</summary>
    private sealed class Pace(PipeReader input, TimeProvider time) : IAsyncDisposable
    {
        private ITimer? timer;
        private long arrived;
        private long mark;

        /// <summary>Bytes that have come.</summary>
        public long Arrived
        {
            set => Volatile.Write(ref arrived, value);
        }

        public ValueTask<ReadResult> ReadAsync(CancellationToken ct)
        {
            var read = input.ReadAsync(ct);
            // Most bodies are here already: they need no timer.
            if (!read.IsCompleted) timer ??= time.CreateTimer(_ => OnWindow(), null, Window, Window);
            return read;
        }

        public ValueTask DisposeAsync() => timer?.DisposeAsync() ?? ValueTask.CompletedTask;

        private void OnWindow()
        {
            var now = Volatile.Read(ref arrived);
            if (now - mark < WindowBytes) input.CancelPendingRead();
            mark = now;
        }
    }
}

/// <summary>A body in memory; the budget has its bytes back when it is disposed.</summary>
public sealed class JobBody(ByteBudget budget) : IDisposable
{
    private long taken;

    public ReadOnlyMemory<byte> Bytes { get; internal set; }

    public void Dispose()
    {
        budget.Return(taken);
        taken = 0;
    }

    /// <summary>Takes as much of the budget as <paramref name="bytes"/> are more than before.</summary>
    internal bool TryGrow(long bytes)
    {
        if (!budget.TryTake(bytes - taken)) return false;
        taken = bytes;
        return true;
    }
}

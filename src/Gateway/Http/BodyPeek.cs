using System.Buffers;

namespace Sluice.Gateway.Http;

/// <summary>How the read of a body without consuming it ended.</summary>
public enum BodyPeekEnd
{
    /// <summary>The callback has what it needs.</summary>
    Done,

    /// <summary>The body is too slow (<see cref="PacedBodyReader"/>). It cannot be read again.</summary>
    TooSlow,

    /// <summary>The bodies of other requests use the memory.</summary>
    NoMemory,
}

/// <summary>
/// Reads a request body without consuming it: the handler reads it from its first byte, without a copy in between. The
/// server holds the bytes until then, for example during a wait for a worker, so they are taken from the memory budget.
/// </summary>
public static class BodyPeek
{
    /// <summary>Examines a body that may be incomplete.</summary>
    /// <param name="body">All bytes that have arrived.</param>
    /// <param name="isComplete">Whether the body ends with them.</param>
    /// <returns>Whether no more bytes are needed.</returns>
    public delegate bool Examine(ReadOnlySequence<byte> body, bool isComplete);

    /// <summary>Reads until the callback needs no more bytes.</summary>
    public static async ValueTask<BodyPeekEnd> ReadAsync(HttpContext context, Examine examine)
    {
        var services = context.RequestServices;
        var input = context.Request.BodyReader;
        await using var pace = new PacedBodyReader(input, services.GetRequiredService<TimeProvider>());
        var reservation = GetReservation(context, services.GetRequiredService<ByteBudget>());
        while (true)
        {
            var read = await pace.ReadAsync(context.RequestAborted);
            var length = read.Buffer.Length;
            var isDone = examine(read.Buffer, read.IsCompleted) || read.IsCompleted;
            var seen = Math.Min(length, reservation.Bytes);
            var isBudgeted = isDone || reservation.TryGrow(length);
            if (isDone || read.IsCanceled || !isBudgeted)
            {
                // The bytes that arrived last count as not examined, so that the next read returns them immediately.
                input.AdvanceTo(read.Buffer.Start, read.Buffer.GetPosition(seen));
                return isDone ? BodyPeekEnd.Done : read.IsCanceled ? BodyPeekEnd.TooSlow : BodyPeekEnd.NoMemory;
            }

            pace.Arrived = length;
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    /// <summary>Returns the status and the text of the error of a read that failed.</summary>
    /// <param name="context">The request. Its connection is closed, so that the rest of the body is not read.</param>
    /// <param name="end">The end of the read.</param>
    public static (int Status, string Error) Fail(HttpContext context, BodyPeekEnd end)
    {
        if (HttpProtocol.IsHttp11(context.Request.Protocol)) context.Response.Headers.Connection = "close";
        if (end == BodyPeekEnd.TooSlow) return (StatusCodes.Status408RequestTimeout, PacedBodyReader.TooSlow);
        var budget = context.RequestServices.GetRequiredService<ByteBudget>();
        return (StatusCodes.Status503ServiceUnavailable,
            "The bodies of other requests use the body memory of this gateway (SLUICE_BODY_MEMORY is "
            + $"{budget.Limit >> 20} MiB). Send the request again later.");
    }

    private static BodyReservation GetReservation(HttpContext context, ByteBudget budget)
    {
        if (context.Features.Get<BodyReservation>() is { } known) return known;
        var reservation = new BodyReservation(budget);
        context.Features.Set(reservation);
        context.Response.RegisterForDispose(reservation);
        return reservation;
    }

    /// <summary>The part of the budget that a request holds until its response is complete.</summary>
    private sealed class BodyReservation(ByteBudget budget) : IDisposable
    {
        public long Bytes { get; private set; }

        public bool TryGrow(long bytes)
        {
            if (bytes <= Bytes) return true;
            if (!budget.TryTake(bytes - Bytes)) return false;
            Bytes = bytes;
            return true;
        }

        public void Dispose()
        {
            budget.Return(Bytes);
            Bytes = 0;
        }
    }
}

using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Selection;

/// <summary>
/// Selects by a string field of the JSON body that holds a model name, as the OpenAI API does. The body is only read up
/// to the field, and none of it is consumed: the handler reads it from its first byte, without a copy in between.
/// </summary>
/// <param name="field">The name of the field.</param>
/// <param name="limit">
/// Maximum bytes before the end of the field, and of the body. The endpoint's own limit applies afterwards.
/// </param>
public sealed class JsonBodySelector(string field, long limit) : IEndpointSelector
{
    public async ValueTask<EndpointSelection> SelectAsync(HttpContext context)
    {
        if (context.Request.ContentLength > limit)
        {
            RequestBodyDrain.LetSend(context);
            return TooLarge(context.Request.ContentLength.Value);
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = limit;
        try
        {
            return await ReadAsync(context);
        }
        catch (BadHttpRequestException e)
        {
            return e.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? TooLarge(limit + 1)
                : EndpointSelection.Failed(e.StatusCode, $"The body cannot be read: {e.Message}");
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Kestrel's parser also throws other exceptions: a chunk size beyond 64 bits overflows it.
            return Invalid($"The body cannot be read: {e.Message}");
        }
    }

    private async ValueTask<EndpointSelection> ReadAsync(HttpContext context)
    {
        var services = context.RequestServices;
        var budget = services.GetRequiredService<ByteBudget>();
        var input = context.Request.BodyReader;
        await using var pace = new PacedBodyReader(input, services.GetRequiredService<TimeProvider>());
        var finder = new StringFieldFinder(field);
        var reservation = new Reservation(budget);
        // The server holds the bytes until the handler reads them, for example after a wait for a worker.
        context.Response.RegisterForDispose(reservation);
        while (true)
        {
            var read = await pace.ReadAsync(context.RequestAborted);
            var length = read.Buffer.Length;
            var status = finder.Search(read.Buffer, read.IsCompleted);
            var seen = reservation.Bytes;
            var isBudgeted = status != FieldStatus.NeedsMore || reservation.TryGrow(length);
            if (status != FieldStatus.NeedsMore || read.IsCanceled || !isBudgeted)
            {
                // The bytes that arrived last count as not examined, so that the next read returns them immediately.
                input.AdvanceTo(read.Buffer.Start, read.Buffer.GetPosition(seen));
                return read.IsCanceled && status == FieldStatus.NeedsMore
                    ? Close(context, StatusCodes.Status408RequestTimeout, PacedBodyReader.TooSlow)
                    : !isBudgeted ? Close(context, StatusCodes.Status503ServiceUnavailable, NoMemory(budget))
                    : Result(status, finder);
            }

            pace.Arrived = length;
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private EndpointSelection Result(FieldStatus status, StringFieldFinder finder) => status switch
    {
        FieldStatus.Found when finder.Value is { Length: > 0 } name => new EndpointSelection(name, IsModel: true),
        FieldStatus.Found => Invalid($"'{field}' is ''; expected the name of a model."),
        FieldStatus.NotAString => Invalid($"'{field}' is not a string; expected the name of a model."),
        FieldStatus.Missing => Invalid($"'{field}' is missing; expected the name of a model."),
        _ => Invalid($"The body is not a JSON object with the field '{field}': {finder.Error}"),
    };

    private EndpointSelection TooLarge(long bytes) => EndpointSelection.Failed(
        StatusCodes.Status413PayloadTooLarge,
        $"The request body has {bytes} bytes or more; expected at most {limit} bytes.");

    private static EndpointSelection Invalid(string error) =>
        EndpointSelection.Failed(StatusCodes.Status400BadRequest, error);

    private static string NoMemory(ByteBudget budget) =>
        "The bodies of other requests use the body memory of this gateway (SLUICE_BODY_MEMORY is "
        + $"{budget.Limit >> 20} MiB). Send the request again later.";

    /// <summary>Returns the error, and closes the connection so that the rest of the body is not read.</summary>
    private static EndpointSelection Close(HttpContext context, int status, string error)
    {
        if (HttpProtocol.IsHttp11(context.Request.Protocol)) context.Response.Headers.Connection = "close";
        return EndpointSelection.Failed(status, error);
    }

    /// <summary>The part of the budget that a request holds until its response is complete.</summary>
    private sealed class Reservation(ByteBudget budget) : IDisposable
    {
        public long Bytes { get; private set; }

        public bool TryGrow(long bytes)
        {
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

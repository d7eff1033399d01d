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
        var finder = new StringFieldFinder(field);
        var status = FieldStatus.NeedsMore;
        var end = await BodyPeek.ReadAsync(context, (body, isComplete) =>
            (status = finder.Search(body, isComplete)) != FieldStatus.NeedsMore);
        if (end == BodyPeekEnd.Done) return Result(status, finder);
        var (code, error) = BodyPeek.Fail(context, end);
        return EndpointSelection.Failed(code, error);
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
}

namespace Sluice.Gateway.Selection;

/// <summary>Selects by a header that holds a model name.</summary>
/// <param name="header">The name of the header.</param>
public sealed class HeaderSelector(string header) : IEndpointSelector
{
    public ValueTask<EndpointSelection> SelectAsync(HttpContext context)
    {
        var values = context.Request.Headers[header];
        return ValueTask.FromResult(values is [{ } one] && one.Trim() is { Length: > 0 } name
            ? new EndpointSelection(name, IsModel: true)
            : EndpointSelection.Failed(
                StatusCodes.Status400BadRequest,
                $"Header '{header}' has {values.Count} values; expected one: the name of a model."));
    }
}

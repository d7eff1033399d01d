namespace Sluice.Gateway.Selection;

/// <summary>Selects by the route: <c>{endpoint}</c> holds an endpoint ID, <c>{model}</c> a model name.</summary>
public sealed class RouteSelector : IEndpointSelector
{
    /// <summary>The only instance.</summary>
    public static readonly RouteSelector Instance = new();

    private RouteSelector()
    {
    }

    /// <summary>Reads the name in the route.</summary>
    public static EndpointSelection Read(HttpContext context)
    {
        var values = context.Request.RouteValues;
        return values.TryGetValue("endpoint", out var id) ? new EndpointSelection((string)id!, IsModel: false)
            : values.TryGetValue("model", out var model) ? new EndpointSelection((string)model!, IsModel: true)
            : EndpointSelection.None;
    }

    public ValueTask<EndpointSelection> SelectAsync(HttpContext context) => ValueTask.FromResult(Read(context));
}

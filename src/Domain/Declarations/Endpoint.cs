using System.Text.Json.Serialization;

namespace Sluice.Domain.Declarations;

/// <summary>
/// A named access point on a template, declared by operators and called by clients. It is the desired state; pods and
/// dispatch hold the actual state.
/// </summary>
public sealed record Endpoint
{
    /// <summary>
    /// The id, <c>^[a-z0-9][a-z0-9-]{0,62}$</c>, except <c>models, health, repository, logging, trace</c>.
    /// </summary>
    public required string Id { get; init; }

    /// <summary>The name of its template.</summary>
    public required string Template { get; init; }

    /// <summary>Whether clients need no API key. A private endpoint requires a key whose scope contains it.</summary>
    public bool Public { get; init; }

    /// <summary>
    /// Names of the models that it serves in the Open Inference Protocol. Empty: one model with the id of the endpoint.
    /// </summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>From where its model comes; null: the model repository of the host.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ModelDeclaration? Model { get; init; }

    /// <summary>
    /// Environment variables in addition to those of the template. They override variables of the same name.
    /// </summary>
    public IReadOnlyDictionary<string, string> Env { get; init; } = new Dictionary<string, string>();

    public ScalePolicy Scaling { get; init; } = new();

    public QueuePolicy Queue { get; init; } = new();

    public ForwardPolicy Forwarding { get; init; } = new();

    public JobPolicy Jobs { get; init; } = new();

    public PlacementPolicy Placement { get; init; } = new();

    /// <summary>
    /// Which pages of other origins may call it from a browser; null: the origins in <c>SLUICE_CORS_ORIGINS</c>.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CorsPolicy? Cors { get; init; }

    /// <summary>The endpoint whose requests and jobs it shares; null: it is no canary.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CanaryPolicy? Canary { get; init; }

    /// <summary>The model names that select this endpoint.</summary>
    public IReadOnlyList<string> ServedModels => Models.Count > 0 ? Models : [Id];
}

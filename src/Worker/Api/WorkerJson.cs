using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Worker.Api;

/// <summary>Body of an error response.</summary>
public sealed record ErrorBody(string Error);

/// <summary>Body of <c>/v2/health/live</c>.</summary>
public sealed record LiveBody(bool Live);

/// <summary>Body of <c>/v2/health/ready</c>.</summary>
/// <param name="Ready">Whether all models are loaded and warm.</param>
/// <param name="Provider">The execution provider that runs the models.</param>
/// <param name="Skipped">Preferred providers that are not available, with the reason.</param>
/// <param name="Generation">
/// The load of the models that generate text, by name; null: the worker has none.
/// </param>
public sealed record ReadyBody(
    bool Ready,
    string? Provider = null,
    IReadOnlyDictionary<string, string>? Skipped = null,
    IReadOnlyDictionary<string, GenerationLoad>? Generation = null);

/// <summary>Body of a model's <c>/ready</c>.</summary>
/// <param name="Name">Name of the model.</param>
/// <param name="Ready">Whether the model is served.</param>
/// <param name="Placement">Number of the model's nodes on each provider.</param>
public sealed record ModelReadyBody(string Name, bool Ready, string? Placement);

/// <summary>Body of <c>/v2/models</c>.</summary>
public sealed record ModelList(IReadOnlyCollection<string> Models);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(LiveBody))]
[JsonSerializable(typeof(ReadyBody))]
[JsonSerializable(typeof(GenerationLoad))]
[JsonSerializable(typeof(ModelReadyBody))]
[JsonSerializable(typeof(ServerMetadata))]
[JsonSerializable(typeof(ModelMetadata))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(GenerateBody))]
internal sealed partial class WorkerJson : JsonSerializerContext;

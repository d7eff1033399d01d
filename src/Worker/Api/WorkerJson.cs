using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Worker.Api;

public sealed record ErrorBody(string Error);

public sealed record LiveBody(bool Live);

public sealed record ReadyBody(bool Ready);

public sealed record ModelReadyBody(string Name, bool Ready);

public sealed record ServerMetadata(string Name, string Version, IReadOnlyList<string> Extensions);

public sealed record TensorMetadata(string Name, string Datatype, IReadOnlyList<long> Shape);

public sealed record ModelMetadata(string Name, IReadOnlyList<string> Versions, string Platform,
    IReadOnlyList<TensorMetadata> Inputs, IReadOnlyList<TensorMetadata> Outputs);

public sealed record ModelList(IReadOnlyCollection<string> Models);

/// <summary>The generate extension's answer. The last fields stand in the last event only, or in the whole answer.
/// </summary>
public sealed record GenerateBody(string? Id, string ModelName, string ModelVersion, string TextOutput,
    string? FinishReason, int? TokensGenerated, int? TokensPrompt);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ErrorBody))]
[JsonSerializable(typeof(LiveBody))]
[JsonSerializable(typeof(ReadyBody))]
[JsonSerializable(typeof(ModelReadyBody))]
[JsonSerializable(typeof(ServerMetadata))]
[JsonSerializable(typeof(ModelMetadata))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(GenerateBody))]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class WorkerJson : JsonSerializerContext;

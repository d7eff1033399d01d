using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Gateway.OpenInference;

/// <summary>
/// The generated serializers of the responses of the Open Inference Protocol that the gateway writes itself.
/// </summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(OpenInferenceApi.ServerMetadata))]
[JsonSerializable(typeof(OpenInferenceApi.Live))]
[JsonSerializable(typeof(OpenInferenceApi.Ready))]
[JsonSerializable(typeof(OpenInferenceApi.ModelReady))]
[JsonSerializable(typeof(RepositoryApi.ModelNames))]
[JsonSerializable(typeof(List<RepositoryApi.IndexEntry>))]
internal sealed partial class OpenInferenceJson : JsonSerializerContext;

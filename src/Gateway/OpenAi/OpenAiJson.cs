using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Gateway.OpenAi;

/// <summary>The generated serializers of the responses of the OpenAI API that the gateway writes itself.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(OpenAiApi.ListModelsResponse))]
[JsonSerializable(typeof(OpenAiApi.Model))]
[JsonSerializable(typeof(FileObject))]
[JsonSerializable(typeof(ListFilesResponse))]
[JsonSerializable(typeof(DeletedObject))]
[JsonSerializable(typeof(BatchObject))]
[JsonSerializable(typeof(ListBatchesResponse))]
[JsonSerializable(typeof(ResponseObject))]
[JsonSerializable(typeof(ListResponseItems))]
internal sealed partial class OpenAiJson : JsonSerializerContext;

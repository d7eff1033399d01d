using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Gateway.ModelUploads;

/// <summary>The generated serializers of the responses about models.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(ModelLibrary))]
[JsonSerializable(typeof(VersionView))]
internal sealed partial class ModelsJson : JsonSerializerContext;

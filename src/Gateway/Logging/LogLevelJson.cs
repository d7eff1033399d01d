using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Gateway.Logging;

/// <summary>The generated serializers of the log levels.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(LogLevelRequest))]
[JsonSerializable(typeof(LogLevelView))]
internal sealed partial class LogLevelJson : JsonSerializerContext;

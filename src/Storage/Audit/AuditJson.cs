using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Storage.Audit;

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(AuditEntry))]
[JsonSerializable(typeof(RefusedLogin))]
internal sealed partial class AuditJson : JsonSerializerContext;

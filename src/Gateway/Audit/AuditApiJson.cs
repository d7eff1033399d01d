using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Storage.Audit;

namespace Sluice.Gateway.Audit;

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(AuditList))]
[JsonSerializable(typeof(RefusedLoginList))]
[JsonSerializable(typeof(AuditEntry))]
[JsonSerializable(typeof(RefusedLogin))]
internal sealed partial class AuditApiJson : JsonSerializerContext;

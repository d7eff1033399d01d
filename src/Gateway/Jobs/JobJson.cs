using System.Text.Json.Serialization;

namespace Sluice.Gateway.Jobs;

[JsonSerializable(typeof(string))]
internal sealed partial class JobJson : JsonSerializerContext;

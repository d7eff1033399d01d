using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Worker.Models.Cache;

[JsonSerializable(typeof(CacheManifest))]
[JsonSerializable(typeof(MakeRequest))]
[JsonSerializable(typeof(TrialRequest))]
internal sealed partial class CacheJson : JsonSerializerContext;

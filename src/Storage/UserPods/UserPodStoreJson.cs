using System.Text.Json.Serialization;

namespace Sluice.Storage.UserPods;

[JsonSerializable(typeof(UserPodEvent))]
internal sealed partial class UserPodStoreJson : JsonSerializerContext;

using System.Text.Json.Serialization;
using Sluice.Domain.UserPods;

namespace Sluice.Storage.UserPods;

[JsonSerializable(typeof(UserPodEvent))]
[JsonSerializable(typeof(UserPodUtilization))]
internal sealed partial class UserPodStoreJson : JsonSerializerContext;

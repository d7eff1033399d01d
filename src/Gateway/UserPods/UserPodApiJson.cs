using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sluice.Gateway.UserPods;

/// <summary>The generated serializers of the responses about pods.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(UserPodList))]
[JsonSerializable(typeof(UserPodView))]
[JsonSerializable(typeof(UserPodLink))]
[JsonSerializable(typeof(UserPodLinks.Ticket))]
[JsonSerializable(typeof(UserPodLinks.OpenedPod))]
[JsonSerializable(typeof(UserPodLogEvent))]
[JsonSerializable(typeof(RunPodPod))]
[JsonSerializable(typeof(RunPodPodList))]
internal sealed partial class UserPodApiJson : JsonSerializerContext;

using System.Text.Json;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;

namespace Sluice.Hosting.UserPods;

/// <summary>
/// Reads and writes the labels of a user pod's container (annotations of its Pod on Kubernetes). They hold the
/// declaration without the values of its environment, which may be secret, so that a Redis that lost a pod gets it
/// back.
/// </summary>
public static class UserPodLabels
{
    /// <summary>The id of the pod.</summary>
    public const string Id = "sluice.userpod";

    private const string Installation = "sluice.userpod.installation";
    private const string Host = "sluice.userpod.host";
    private const string Fingerprint = "sluice.userpod.fingerprint";
    private const string Devices = "sluice.userpod.devices";
    private const string Declared = "sluice.userpod.declared";
    private const string Variables = "sluice.userpod.env";

    private static readonly Dictionary<string, string> Nothing = [];

    /// <summary>Returns the labels of a pod's container.</summary>
    public static Dictionary<string, string> Write(UserPodStart start, string hostId)
    {
        var pod = start.Pod with { Secret = "", Spec = start.Pod.Spec with { Env = Nothing } };
        return new Dictionary<string, string>
        {
            [Id] = pod.Id,
            [Installation] = start.Installation,
            [Host] = hostId,
            [Fingerprint] = start.Fingerprint,
            [Devices] = string.Join(',', start.State.Devices),
            [Declared] = DeclarationSerializer.Write(pod, UserPodJson.Pod),
            [Variables] = string.Join(',', start.Pod.Spec.Env.Keys),
        };
    }

    /// <summary>Whether the container is that of a pod of this installation, or one that this host created.</summary>
    public static bool IsOwn(IReadOnlyDictionary<string, string> labels, string installation, string hostId) =>
        labels.GetValueOrDefault(Installation) == installation || labels.GetValueOrDefault(Host) == hostId;

    /// <summary>Returns the fingerprint that the container was created from.</summary>
    public static string FingerprintOf(IReadOnlyDictionary<string, string> labels) =>
        labels.GetValueOrDefault(Fingerprint, "");

    /// <summary>Returns the devices of the container.</summary>
    public static IReadOnlyList<string> DevicesOf(IReadOnlyDictionary<string, string> labels) =>
        labels.GetValueOrDefault(Devices, "").Split(',', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>
    /// Returns the pod that the container was created for; null if the labels are of another version.
    /// </summary>
    /// <param name="labels">The labels.</param>
    /// <param name="environment">The container's variables, as <c>NAME=VALUE</c>.</param>
    public static UserPod? Read(IReadOnlyDictionary<string, string> labels, IReadOnlyList<string> environment)
    {
        try
        {
            if (!labels.TryGetValue(Declared, out var declared)) return null;
            if (JsonSerializer.Deserialize(declared, UserPodJson.Pod) is not { } pod) return null;
            var values = environment.Select(e => e.Split('=', 2)).Where(p => p.Length == 2)
                .GroupBy(p => p[0]).ToDictionary(g => g.Key, g => g.Last()[1]);
            var names = labels.GetValueOrDefault(Variables, "").Split(',', StringSplitOptions.RemoveEmptyEntries);
            var env = names.Where(values.ContainsKey).ToDictionary(n => n, n => values[n]);
            return pod with
            {
                Secret = values.GetValueOrDefault("JUPYTER_TOKEN", ""),
                Spec = pod.Spec with { Env = env },
            };
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

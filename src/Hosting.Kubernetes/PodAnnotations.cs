using System.Globalization;
using System.Text.Json;
using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Reads and writes the annotations that describe a pod, so that a gateway without any stored state can adopt it. They
/// contain no values of the environment, because these may be secret: those are in a Secret. Pure.
/// </summary>
internal static class PodAnnotations
{
    private const string Pod = "sluice/pod";
    private const string Declared = "sluice/declared";
    private const string Fingerprint = "sluice/fingerprint";
    private const string Epoch = "sluice/epoch";
    private const string Devices = "sluice/devices";
    private const string Node = "sluice/node";

    private static readonly Dictionary<string, string> Nothing = [];

    /// <summary>Returns the annotations of an order's pod.</summary>
    public static Dictionary<string, string> Write(PodSpec order)
    {
        var template = order.Deployment.Template with { Env = Nothing };
        var endpoint = order.Deployment.Endpoint with { Env = Nothing };
        var declared = new ManifestFile { Templates = [template], Endpoints = [endpoint] };
        var annotations = new Dictionary<string, string>
        {
            [Pod] = order.PodId,
            [Declared] = DeclarationSerializer.Write(declared, DeclarationJson.ManifestFile),
            [Fingerprint] = order.Fingerprint,
            [Epoch] = order.Epoch.ToString(CultureInfo.InvariantCulture),
        };
        if (order.Devices is { } devices) annotations[Devices] = string.Join(',', devices);
        if (order.Node is { } node) annotations[Node] = node;
        return annotations;
    }

    /// <summary>
    /// Returns the order that a pod was created for, without its environment. Null if the annotations are not Sluice's,
    /// or are of another version.
    /// </summary>
    public static PodSpec? Read(IDictionary<string, string>? annotations)
    {
        try
        {
            if (annotations is null) return null;
            if (!annotations.TryGetValue(Pod, out var pod) || !annotations.TryGetValue(Declared, out var declared))
                return null;
            var manifest = JsonSerializer.Deserialize(declared, DeclarationJson.ManifestFile);
            if (manifest is not { Templates: [var template], Endpoints: [var endpoint] }) return null;
            var devices = annotations.TryGetValue(Devices, out var placed)
                ? placed.Split(',', StringSplitOptions.RemoveEmptyEntries) : null;
            return new PodSpec(new Deployment(endpoint, template), pod, devices)
            {
                Fingerprint = annotations.TryGetValue(Fingerprint, out var fingerprint) ? fingerprint : "",
                Epoch = annotations.TryGetValue(Epoch, out var epoch)
                    && long.TryParse(epoch, CultureInfo.InvariantCulture, out var number) ? number : 0,
                Node = annotations.TryGetValue(Node, out var node) ? node : null,
            };
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

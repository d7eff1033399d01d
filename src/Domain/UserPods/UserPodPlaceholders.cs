using System.Globalization;

namespace Sluice.Domain.UserPods;

/// <summary>
/// Fills the placeholders in the command and the arguments of a pod. Pure. <c>{path}</c> is the path of its first HTTP
/// port in URLs, which begins and ends with a slash. <c>{port}</c> is the number of that port inside the container.
/// </summary>
public static class UserPodPlaceholders
{
    /// <summary>Returns the pod with its path. The host fills the port.</summary>
    /// <param name="pod">The pod.</param>
    /// <param name="usesPaths">Whether the gateway reaches ports by a path, and not by a subdomain.</param>
    public static UserPod Fill(UserPod pod, bool usesPaths) =>
        pod with { Spec = Replace(pod.Spec, "{path}", PathOf(pod, usesPaths)) };

    /// <summary>
    /// Returns the path that the program on the first HTTP port serves, which begins and ends with a slash.
    /// </summary>
    public static string PathOf(UserPod pod, bool usesPaths)
    {
        var port = (pod.Spec.FirstHttpPort ?? 0).ToString(CultureInfo.InvariantCulture);
        return usesPaths && pod.Spec.KeepPrefix ? $"/pods/{pod.Id}/{port}/" : "/";
    }

    /// <summary>Returns a pod with the port that its program listens on.</summary>
    public static UserPodSpec FillPort(UserPodSpec spec, int port) =>
        Replace(spec, "{port}", port.ToString(CultureInfo.InvariantCulture));

    private static UserPodSpec Replace(UserPodSpec spec, string name, string value) => spec with
    {
        Command = [.. spec.Command.Select(c => c.Replace(name, value, StringComparison.Ordinal))],
        Args = [.. spec.Args.Select(a => a.Replace(name, value, StringComparison.Ordinal))],
    };
}

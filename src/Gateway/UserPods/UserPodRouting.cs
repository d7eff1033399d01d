using System.Globalization;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// How clients reach the HTTP ports of pods: by a subdomain, <c>https://{pod}-{port}.pods.example.com/</c>, or by a
/// path, <c>https://gateway.example.com/pods/{pod}/{port}/</c>. A subdomain is an origin of its own, so browsers
/// isolate pods from each other and from the gateway. With paths, all pods share the origin of the gateway.
/// </summary>
/// <param name="UsesPaths">Whether ports are reached by a path.</param>
/// <param name="Base"> The URL of the domain or of the gateway, as clients see it, without a path; null: it follows
/// from each request, and the domain is <c>localhost</c>, whose subdomains every browser resolves to this machine.
/// </param>
public sealed record UserPodRouting(bool UsesPaths, Uri? Base)
{
    private const string DefaultDomain = "localhost";

    /// <summary>First segment of paths of pods.</summary>
    public const string PathPrefix = "/pods";

    /// <summary>Whether clients use TLS.</summary>
    public bool IsSecure => Base?.Scheme == Uri.UriSchemeHttps;

    /// <summary>The domain of the subdomains.</summary>
    public string Domain => Base?.Host ?? DefaultDomain;

    /// <summary>The scheme of the URLs that clients use.</summary>
    private string Scheme => Base?.Scheme ?? Uri.UriSchemeHttp;

    /// <summary>Reads the pod and the port from a host name. Returns false if it is not a name of a pod.</summary>
    public bool TryRead(string host, out string podId, out int port)
    {
        (podId, port) = ("", 0);
        if (UsesPaths || host.Length <= Domain.Length + 1 || !host.EndsWith(Domain, StringComparison.OrdinalIgnoreCase)
            || host[^(Domain.Length + 1)] != '.') return false;
        var label = host[..^(Domain.Length + 1)].ToLowerInvariant();
        var dash = label.LastIndexOf('-');
        return dash > 0 && TryRead(label[..dash], label[(dash + 1)..], out podId, out port);
    }

    /// <summary>Reads the pod and the port from two texts.</summary>
    public static bool TryRead(string pod, string number, out string podId, out int port)
    {
        podId = pod;
        return int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out port)
            && port is > 0 and <= ushort.MaxValue && UserPodRules.IsId(pod);
    }

    /// <summary>Returns the URL of a port, with a slash at its end.</summary>
    /// <param name="podId">The pod.</param>
    /// <param name="port">The port.</param>
    /// <param name="requestHost">The host of the request that asks for it.</param>
    public string UrlOf(string podId, int port, HostString requestHost)
    {
        var number = port.ToString(CultureInfo.InvariantCulture);
        if (UsesPaths) return $"{Scheme}://{Base?.Authority ?? requestHost.Value}{PathPrefix}/{podId}/{number}/";
        var gatewayPort = Base is null ? requestHost.Port : Base.IsDefaultPort ? null : Base.Port;
        var authority = $"{podId}-{number}.{Domain}";
        return gatewayPort is { } given
            ? string.Create(CultureInfo.InvariantCulture, $"{Scheme}://{authority}:{given}/")
            : $"{Scheme}://{authority}/";
    }

    /// <summary>Returns the origin of a request's own pages, as browsers send it in <c>Origin</c>.</summary>
    public string OriginOf(HttpRequest request) => $"{Scheme}://{request.Host.Value}";

    /// <summary>Returns whether a program gets the path as clients send it.</summary>
    public bool KeepsPath(UserPodSpec spec) => !UsesPaths || spec.KeepPrefix;

    /// <summary>Reads the settings.</summary>
    /// <param name="text">Returns the value of a variable; null if it is empty or not set.</param>
    /// <exception cref="InvalidOperationException">A variable has an invalid value.</exception>
    public static UserPodRouting Read(Func<string, string?> text)
    {
        var usesPaths = text("SLUICE_POD_ROUTING") switch
        {
            null or "subdomain" => false,
            "path" => true,
            var other => throw new InvalidOperationException(
                $"SLUICE_POD_ROUTING is '{other}'; expected subdomain or path."),
        };
        if (text("SLUICE_POD_URL") is not { } url) return new UserPodRouting(usesPaths, null);
        if (!Uri.TryCreate(url, UriKind.Absolute, out var parsed) || parsed.Scheme is not ("http" or "https")
            || parsed.AbsolutePath != "/" || parsed.Query.Length > 0 || parsed.Fragment.Length > 0
            || parsed.UserInfo.Length > 0)
            throw new InvalidOperationException($"SLUICE_POD_URL is '{url}'; expected a URL without a path, like "
                + "https://pods.example.com.");
        return new UserPodRouting(usesPaths, parsed);
    }
}

using Microsoft.AspNetCore.Http;
using Sluice.Gateway.UserPods;

namespace Sluice.Gateway.Tests.UserPods;

/// <summary>Tests which host names and paths are those of pods, and the URLs of ports.</summary>
public sealed class UserPodRoutingTest
{
    private const string Pod = "a0123456789abc";

    private static readonly UserPodRouting Local = new(UsesPaths: false, Base: null);
    private static readonly UserPodRouting Public = new(UsesPaths: false, new Uri("https://pods.example.com"));

    [Theory]
    [InlineData("a0123456789abc-8888.localhost", 8888)]
    [InlineData("A0123456789ABC-8888.LocalHost", 8888)]
    [InlineData("a0123456789abc-1.localhost", 1)]
    public void A_subdomain_names_a_pod_and_its_port(string host, int port)
    {
        Assert.True(Local.TryRead(host, out var pod, out var number));
        Assert.Equal((Pod, port), (pod, number));
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData(".localhost")]
    [InlineData("-8888.localhost")]
    [InlineData("a0123456789abc.localhost")]
    [InlineData("a0123456789abc-.localhost")]
    [InlineData("a0123456789abc-0.localhost")]
    [InlineData("a0123456789abc-65536.localhost")]
    [InlineData("a0123456789abc-x.localhost")]
    [InlineData("a0123456789abc--1.localhost")]
    [InlineData("a0123456789ab-8888.localhost")]
    [InlineData("x.a0123456789abc-8888.localhost")]
    [InlineData("a0123456789abc-8888.localhost.example.com")]
    [InlineData("a0123456789abc-8888xlocalhost")]
    [InlineData("a0123456789abc-8888.pods.example.com")]
    [InlineData("127.0.0.1")]
    [InlineData("")]
    public void Any_other_host_is_none_of_a_pod(string host) => Assert.False(Local.TryRead(host, out _, out _));

    [Fact]
    public void The_domain_is_that_of_the_setting()
    {
        Assert.True(Public.TryRead("a0123456789abc-8888.pods.example.com", out _, out _));
        Assert.False(Public.TryRead("a0123456789abc-8888.localhost", out _, out _));
        var paths = Public with { UsesPaths = true };
        Assert.False(paths.TryRead("a0123456789abc-8888.pods.example.com", out _, out _));
    }

    [Theory]
    [InlineData(false, null, "127.0.0.1:8080", "http://a0123456789abc-8888.localhost:8080/")]
    [InlineData(false, null, "gateway", "http://a0123456789abc-8888.localhost/")]
    [InlineData(false, "https://pods.example.com", "gateway:8080", "https://a0123456789abc-8888.pods.example.com/")]
    [InlineData(false, "http://pods.test:81", "gateway", "http://a0123456789abc-8888.pods.test:81/")]
    [InlineData(true, null, "gateway:8080", "http://gateway:8080/pods/a0123456789abc/8888/")]
    [InlineData(true, "https://g.example.com", "gateway:8080", "https://g.example.com/pods/a0123456789abc/8888/")]
    public void A_port_has_a_url(bool paths, string? url, string host, string expected) => Assert.Equal(expected,
        new UserPodRouting(paths, url is null ? null : new Uri(url)).UrlOf(Pod, 8888, new HostString(host)));

    [Fact]
    public void The_origin_is_that_of_the_requests_host()
    {
        var request = new DefaultHttpContext().Request;
        request.Host = new HostString("a0123456789abc-8888.localhost:8080");
        Assert.Equal("http://a0123456789abc-8888.localhost:8080", Local.OriginOf(request));
        request.Host = new HostString("a0123456789abc-8888.pods.example.com");
        Assert.Equal("https://a0123456789abc-8888.pods.example.com", Public.OriginOf(request));
    }

    [Theory]
    [InlineData("SLUICE_POD_ROUTING", "host", "SLUICE_POD_ROUTING is 'host'; expected subdomain or path.")]
    [InlineData("SLUICE_POD_URL", "pods.example.com",
        "SLUICE_POD_URL is 'pods.example.com'; expected a URL without a path")]
    [InlineData("SLUICE_POD_URL", "ftp://pods.example.com", "SLUICE_POD_URL is 'ftp://pods.example.com'")]
    [InlineData("SLUICE_POD_URL", "https://pods.example.com/x", "SLUICE_POD_URL is 'https://pods.example.com/x'")]
    [InlineData("SLUICE_POD_URL", "https://a:b@pods.example.com", "SLUICE_POD_URL is")]
    [InlineData("SLUICE_POD_URL", "https://pods.example.com?x", "SLUICE_POD_URL is")]
    public void An_invalid_setting_is_named_with_its_value_and_rule(string name, string value, string error) =>
        Assert.StartsWith(error, Assert.Throws<InvalidOperationException>(
            () => UserPodRouting.Read(n => n == name ? value : null)).Message, StringComparison.Ordinal);

    [Fact]
    public void The_settings_are_read()
    {
        Assert.Equal(Local, UserPodRouting.Read(_ => null));
        var read = UserPodRouting.Read(n => n == "SLUICE_POD_ROUTING" ? "path" : "https://g.example.com");
        Assert.Equal((true, true, "g.example.com"), (read.UsesPaths, read.IsSecure, read.Domain));
    }
}

using System.Net;
using Sluice.Gateway.Http;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Http;

public sealed class OutboundGuardTest
{
    private static readonly string[] Private =
        """
        http://127.0.0.1/ https://127.0.0.1/ https://127.1/ https://2130706433/ https://0x7f000001/ https://0177.0.0.1/
        https://017700000001/ https://127.0.0.1.:8443/ https://0/ https://0.0.0.0/ https://[::]/ https://[::1]/
        https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/ https://[0:0:0:0:0:ffff:10.0.0.1]/ https://[::127.0.0.1]/
        https://10.0.0.1/ https://10.255.255.255/ https://172.16.0.1/ https://172.31.255.255/ https://192.168.0.1/
        https://192.168.255.255/ https://169.254.169.254/ https://169.254.0.1/ https://100.64.0.1/
        https://100.127.255.255/ https://192.0.0.1/ https://192.0.2.1/ https://198.18.0.1/ https://198.19.255.255/
        https://198.51.100.1/ https://203.0.113.1/ https://224.0.0.1/ https://239.255.255.255/ https://240.0.0.1/
        https://255.255.255.255/ https://[fc00::1]/ https://[fd12:3456::1]/ https://[fe80::1]/ https://[febf::1]/
        https://[fec0::1]/ https://[ff02::1]/ https://[64:ff9b::7f00:1]/ https://[64:ff9b:1::1]/
        https://[2002:7f00:1::]/ https://[2001:0:7f00:1::]/ https://[2001:db8::1]/ https://[100::1]/ https://localhost/
        https://localhost./ https://LOCALHOST/ https://a.localhost/ https://foo.local/ https://metadata.google.internal/
        https://redis/ https://intranet/ https://x.lan/ https://x.home/ https://x.corp/ https://good@127.0.0.1/
        https://user:pw@example.org/ file:///etc/passwd gopher://127.0.0.1/ ftp://example.org/ //example.org/
        example.org http://example.org/ https:///x javascript:alert(1) https://0x0a.0.0.1/ https://１２７.0.0.1/
        https://①②⑦.⓪.⓪.① http://[::ffff:169.254.169.254]/ https://[::ffff:0:127.0.0.1]/
        """.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries);

    [Trait("Fault", "H4")]
    [Fact]
    [Trait("Matrix", "fault")]
    public async Task Each_private_or_malformed_target_is_rejected_at_submit_and_at_connect()
    {
        // The resolver returns the loopback address for every name.
        var guard = new OutboundGuard([], (_, _) => Task.FromResult(new[] { IPAddress.Loopback }));
        using var client = new HttpClient(
            new SocketsHttpHandler { UseProxy = false, ConnectCallback = guard.ConnectAsync });
        var connects = 0;
        foreach (var url in Private)
        {
            Assert.True(await guard.GetRejectionReasonAsync(url, TimeSpan.FromSeconds(1), default) is not null, url);
            if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https")) continue;
            var refused = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync(uri));
            Assert.True(refused.GetBaseException() is ForbiddenTargetException, $"{url}: {refused}");
            connects++;
        }

        Assert.True(Private.Length >= 60);
        var all = Private.Length;
        FaultMatrix.Seen(
            "H4",
            $"{all} of {all} refused at submit, {connects} of {connects} that a client can connect to at connect");
    }

    [Theory]
    [InlineData("https://example.org/hook")]
    [InlineData("https://example.org:8443/hook?x=1")]
    [InlineData("https://93.184.216.34/")]
    [InlineData("https://[2606:2800:220:1::1]/")]
    public async Task A_public_target_is_accepted(string url)
    {
        var guard = new OutboundGuard([], (_, _) => Task.FromResult(new[] { IPAddress.Parse("93.184.216.34") }));
        Assert.Null(await guard.GetRejectionReasonAsync(url, TimeSpan.FromSeconds(1), default));
    }

    /// <summary>
    /// H5: the name resolves to a public address when it is submitted, and to a private one when it is used.
    /// </summary>
    [Trait("Fault", "H5")]
    [Fact]
    [Trait("Matrix", "fault")]
    public async Task A_name_that_resolves_to_a_private_address_later_is_not_connected_to()
    {
        var asked = 0;
        var guard = new OutboundGuard(
            [],
            (_, _) => Task.FromResult(new[] { IPAddress.Parse(asked++ == 0 ? "93.184.216.34" : "127.0.0.1") }));
        Assert.Null(await guard.GetRejectionReasonAsync("https://rebind.example.org/", TimeSpan.FromSeconds(1), default));
        using var client = new HttpClient(
            new SocketsHttpHandler { UseProxy = false, ConnectCallback = guard.ConnectAsync });
        var refused = await Assert.ThrowsAsync<HttpRequestException>(
            () => client.GetAsync(new Uri("https://rebind.example.org/")));
        Assert.IsType<ForbiddenTargetException>(refused.GetBaseException());
        Assert.Equal(2, asked);
        FaultMatrix.Seen("H5", $"public when asked, 127.0.0.1 when connected to: refused before a connection");
    }

    [Fact]
    public void Targets_that_the_operator_allows_may_be_private_and_without_TLS()
    {
        var guard = new OutboundGuard([IPNetwork.Parse("127.0.0.0/8")]);
        Assert.Null(guard.GetRejectionReason("http://127.0.0.1:9000/hook"));
        Assert.Null(guard.GetRejectionReason("http://localhost:9000/hook"));
        Assert.NotNull(guard.GetRejectionReason("http://10.0.0.1/"));
        Assert.NotNull(guard.GetRejectionReason("http://93.184.216.34/"));
    }
}

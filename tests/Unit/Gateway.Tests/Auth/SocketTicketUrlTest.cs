using Microsoft.AspNetCore.Http;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Authentication;

namespace Sluice.Gateway.Tests.Auth;

public sealed class SocketTicketUrlTest
{
    private const string A = "slt_0123456789abcdef0123456789abcdef0123456789abcdef";
    private const string B = "slt_fedcba9876543210fedcba9876543210fedcba9876543210";

    [Theory]
    [InlineData("", null)]
    [InlineData("?", null)]
    [InlineData("?ticket", null)]
    [InlineData("?ticket=", null)]
    [InlineData("?ticket=mine", null)]
    [InlineData("?ticket=" + A, A)]
    [InlineData("?a=1&ticket=" + A + "&b", A)]
    [InlineData("?ticket=mine&ticket=" + A, A)]
    [InlineData("?%74icket=%73" + "lt_0123456789abcdef0123456789abcdef0123456789abcdef", A)]
    [InlineData("?ticket=" + A + "0", null)]
    [InlineData("?ticket=slt_0123456789ABCDEF0123456789abcdef0123456789abcdef", null)]
    [InlineData("?tickets=" + A, null)]
    [InlineData("?Ticket=" + A, null)]
    public void A_ticket_is_found_by_its_form(string query, string? expected) =>
        Assert.Equal(expected, SocketTicketUrl.Find(query));

    [Theory]
    [InlineData("/a", "/a")]
    [InlineData("/a?", "/a?")]
    [InlineData("/a?ticket=mine&b=%20+", "/a?ticket=mine&b=%20+")]
    [InlineData("/a?ticket=" + A, "/a")]
    [InlineData("/a?b=%20&ticket=" + A + "&c", "/a?b=%20&c")]
    [InlineData("/a?ticket=" + A + "&ticket=mine&%74icket=" + B, "/a?ticket=mine")]
    public void All_tickets_are_removed_and_nothing_else(string target, string expected) =>
        Assert.Equal(expected, SocketTicketUrl.Remove(target));

    [Theory]
    [InlineData("", "gateway.example.com", true)]
    [InlineData("https://gateway.example.com", "gateway.example.com", true)]
    [InlineData("https://gateway.example.com", "gateway.example.com:443", true)]
    [InlineData("http://gateway.example.com", "Gateway.example.com", true)]
    [InlineData("http://localhost:8080", "localhost:8080", true)]
    [InlineData("http://localhost:8081", "localhost:8080", false)]
    [InlineData("https://gateway.example.com:8443", "gateway.example.com", false)]
    [InlineData("https://page.example.com", "gateway.example.com", true)]
    [InlineData("http://page.example.com", "gateway.example.com", false)]
    [InlineData("https://gateway.example.com.evil.com", "gateway.example.com", false)]
    [InlineData("null", "gateway.example.com", false)]
    [InlineData("file://", "gateway.example.com", false)]
    [InlineData("gateway.example.com", "gateway.example.com", false)]
    public void Pages_of_the_gateway_and_of_the_policy_may_use_tickets(string origin, string host, bool expected) =>
        Assert.Equal(expected, SocketTicketUrl.Accepts(origin, new HostString(host),
            new CorsPolicy { Origins = ["https://page.example.com"] }));

    [Fact]
    public void Without_a_policy_only_pages_of_the_gateway_may_use_tickets()
    {
        var host = new HostString("gateway.example.com");
        Assert.True(SocketTicketUrl.Accepts("https://gateway.example.com", host, null));
        Assert.False(SocketTicketUrl.Accepts("https://page.example.com", host, null));
        Assert.True(SocketTicketUrl.Accepts("null", host, new CorsPolicy { Origins = [CorsPolicy.Any] }));
    }
}

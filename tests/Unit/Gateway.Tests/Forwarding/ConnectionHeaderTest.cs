using System.Text;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Tests.Forwarding;

public sealed class ConnectionHeaderTest
{
    [Theory]
    [InlineData("close", "close, keep-alive")]
    [InlineData("keep-alive", "keep-alive")]
    [InlineData("Upgrade", "Upgrade, keep-alive")]
    [InlineData("keep-alive, Upgrade", "keep-alive, Upgrade")]
    [InlineData("X-Secret, TE", "X-Secret, TE")]
    [InlineData("close, X-Secret", "close, X-Secret, keep-alive")]
    [InlineData("X-Secret,Upgrade", "X-Secret,Upgrade, keep-alive")]
    [InlineData("Keep-Alive, X-Secret", "X-Secret")]
    [InlineData("close, close", "close, close, keep-alive")]
    [InlineData("", "")]
    public void Header_names_are_preserved_next_to_an_option(string sent, string seen) =>
        Assert.Equal(seen, ConnectionHeader.Instance.GetString((ReadOnlySpan<byte>)Encoding.Latin1.GetBytes(sent)));
}

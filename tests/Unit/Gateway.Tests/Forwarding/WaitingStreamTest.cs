using System.Text;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Tests.Forwarding;

/// <summary>Tests which requests ask for a stream.</summary>
public sealed class WaitingStreamTest
{
    [Theory]
    [InlineData("""{"model":"m","stream":true}""", true)]
    [InlineData("""{"messages":[{"stream":false}],"stream":true,"n":1}""", true)]
    [InlineData("""{"stream":false}""", false)]
    [InlineData("""{"stream":"true"}""", false)]
    [InlineData("""{"messages":[{"stream":true}]}""", false)]
    [InlineData("""{"stream":""", false)]
    [InlineData("""["stream",true]""", false)]
    [InlineData("", false)]
    public void Only_the_flag_of_the_request_asks_for_a_stream(string body, bool asks) =>
        Assert.Equal(asks, WaitingStream.AsksForStream(Encoding.UTF8.GetBytes(body)));
}

using System.Net.Sockets;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Tests.Forwarding;

/// <summary>Tests the classification of exceptions that .NET 10's client throws with raw socket servers.</summary>
public sealed class ExchangeFailuresTest
{
    public static TheoryData<string, Exception, ExchangeFailure> Shapes => new()
    {
        { "refused",
            new HttpRequestException(HttpRequestError.ConnectionError, "refused", new SocketException(111)),
            ExchangeFailure.NotConnected },
        { "no byte",
            new HttpRequestException(
                HttpRequestError.ResponseEnded,
                "x",
                new HttpIOException(HttpRequestError.ResponseEnded)),
            ExchangeFailure.Lost },
        { "reset",
            new HttpRequestException(
                HttpRequestError.Unknown,
                "x",
                new IOException("y", new SocketException(104))),
            ExchangeFailure.Lost },
        { "stream reset", new HttpRequestException(HttpRequestError.HttpProtocolError, "x"), ExchangeFailure.Lost },
        { "status line",
            new HttpRequestException(HttpRequestError.InvalidResponse, "x"),
            ExchangeFailure.AnswerInvalid },
        { "headers too long",
            new HttpRequestException(HttpRequestError.ConfigurationLimitExceeded, "x"),
            ExchangeFailure.AnswerInvalid },
        { "chunk", new HttpIOException(HttpRequestError.InvalidResponse), ExchangeFailure.AnswerInvalid },
        { "reset in the h2 handshake",
            new HttpRequestException(HttpRequestError.InvalidResponse, "x",
                new HttpIOException(
                    HttpRequestError.InvalidResponse,
                    "handshake",
                    new IOException("y", new SocketException(104)))),
            ExchangeFailure.Lost },
        { "end in the h2 handshake",
            new HttpRequestException(HttpRequestError.InvalidResponse, "x",
                new HttpIOException(
                    HttpRequestError.InvalidResponse,
                    "handshake",
                    new HttpIOException(HttpRequestError.ResponseEnded))),
            ExchangeFailure.Lost },
        { "no websockets",
            new HttpRequestException(HttpRequestError.ExtendedConnectNotSupported, "x"),
            ExchangeFailure.AnswerInvalid },
        { "h2 status",
            new HttpRequestException(
                HttpRequestError.Unknown,
                "x",
                new IOException("aborted", new HttpRequestException(HttpRequestError.InvalidResponse, "z"))),
            ExchangeFailure.ConnectionInvalid },
        { "h2 compression",
            new HttpRequestException(
                HttpRequestError.Unknown,
                "x",
                new IOException("aborted", new FormatException("HPACK"))),
            ExchangeFailure.ConnectionInvalid },
        { "not ASCII",
            new HttpRequestException("Request headers must contain only ASCII characters."),
            ExchangeFailure.NotSent },
        { "wrong use", new InvalidOperationException("x"), ExchangeFailure.NotSent },
        { "body and answer",
            new AggregateException(
                new IOException("broken pipe", new SocketException(32)),
                new HttpRequestException("x", new IOException("y"))),
            ExchangeFailure.Lost },
        { "shutdown", new ObjectDisposedException("x"), ExchangeFailure.Lost },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void A_failure_is_classified_by_the_stage_of_the_exchange(
        string name,
        Exception cause,
        ExchangeFailure expected) =>
        Assert.True(ExchangeFailures.Classify(cause) == expected, $"{name}: {ExchangeFailures.Classify(cause)}");
}

/* A whole HTTP server in one file: a thread per connection, one answer for every request.
 *
 *     cc -O2 -static -pthread -o server server.c
 *
 * What Pilotlight asks of a process is in it: it listens on $PORT, and SIGTERM ends it. */

#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 65536 };

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello from C\n";

/* Reads one request, its body included; returns the bytes of the next one that came with it, or -1 at the end. */
static ssize_t take_request(int client, char *buffer, size_t filled) {
    char *end;
    buffer[filled] = 0;
    while (!(end = strstr(buffer, "\r\n\r\n"))) {
        ssize_t got = filled < HEAD_MAX ? read(client, buffer + filled, HEAD_MAX - filled) : 0;
        if (got <= 0) return -1;
        buffer[filled += (size_t)got] = 0;
    }
    *end = 0;
    const char *length = strcasestr(buffer, "\r\ncontent-length:");
    size_t body = length ? strtoul(length + strlen("\r\ncontent-length:"), NULL, 10) : 0;
    size_t rest = filled - (size_t)(end + 4 - buffer);
    memmove(buffer, end + 4, rest);
    while (body > rest) { /* the body is not looked at */
        body -= rest;
        ssize_t got = read(client, buffer, HEAD_MAX);
        if (got <= 0) return -1;
        rest = (size_t)got;
    }
    memmove(buffer, buffer + body, rest - body);
    return (ssize_t)(rest - body);
}

static void *serve(void *argument) {
    int client = (int)(intptr_t)argument;
    char *buffer = malloc(HEAD_MAX + 1);
    ssize_t filled = 0;
    while (buffer && (filled = take_request(client, buffer, (size_t)filled)) >= 0)
        if (write(client, ANSWER, sizeof ANSWER - 1) < 0) break;
    free(buffer);
    close(client);
    return NULL;
}

int main(void) {
    const char *port = getenv("PORT");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)(port ? atoi(port) : 8080));
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror("cannot listen");
        return 1;
    }
    for (;;) {
        int client = accept(listener, NULL, NULL);
        pthread_t thread;
        if (client < 0) continue;
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)client)) close(client);
        else pthread_detach(thread);
    }
}
